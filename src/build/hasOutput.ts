import { chmodSync, opendirSync } from 'node:fs';

/** Whether a step has left anything in its /out, which it may have left without any rights; it can be read afterwards. */
export function hasOutput(out: string): boolean {
  chmodSync(out, 0o755);
  using folder = opendirSync(out);
  return folder.readSync() !== null;
}
