import { chmodSync } from 'node:fs';
import { readdir } from 'node:fs/promises';

/** Whether a step has left anything in its /out, which it may have left without any rights; it can be read afterwards. */
export async function hasOutput(out: string): Promise<boolean> {
  chmodSync(out, 0o755);
  return (await readdir(out)).length > 0;
}
