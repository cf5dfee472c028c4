import { readdir } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { VmbuildError } from '../../src/model/errors.ts';
import { readLog } from '../../src/store/logs.ts';
import type { Store } from '../../src/store/openStore.ts';
import { readTargetRecord } from '../../src/store/realisations.ts';

/** The log of a target's last run, as text. */
export async function logOf(store: Store, target: string): Promise<string> {
  const key = (await readTargetRecord(store, target))?.last.buildKey;
  const to = new PassThrough();
  const all = text(to);
  if (key !== undefined) await readLog(store, key, to);
  to.end();
  return all;
}

/** What a promise is rejected with. */
export async function failure(promise: Promise<unknown>): Promise<VmbuildError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof VmbuildError)) throw error;
  return error;
}

/** What lies in the store's folder of temporary files. */
export async function scratchOf(store: Store): Promise<readonly string[]> {
  return readdir(store.layout.temporary);
}

/** A recipe that runs its own build.sh. */
export function fileRecipe(fields: Readonly<Record<string, unknown>> = {}): string {
  const recipe = {
    description: 'x',
    image: 'base',
    files: ['build.sh'],
    command: ['bash', '/recipe/build.sh'],
    ...fields,
  };
  return `import { defineRecipe } from 'vmbuild';\nexport default defineRecipe(${JSON.stringify(recipe)});\n`;
}
