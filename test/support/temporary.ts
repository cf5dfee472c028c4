import { mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '../../src/io/files.ts';
import { onTestFinished } from 'vitest';

/** A real folder that is removed when the test has finished. */
export async function temporary(): Promise<string> {
  const path = await realpath(await mkdtemp(join(tmpdir(), 'vmbuild-test-')));
  onTestFinished(() => removeTree(path));
  return path;
}
