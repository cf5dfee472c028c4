import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { VmbuildError } from '../../src/model/errors.ts';

/** The code of a foreseen error; fails for any other. */
export function errorCode(error: unknown): string {
  if (error instanceof VmbuildError) return error.code;
  throw error;
}

/** What a promise was rejected with, as `CODE message`. */
export async function rejection(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return `${errorCode(error)} ${(error as Error).message}`;
  }
  throw new Error('it did not reject');
}

/** A maker of fresh folders that are gone after the tests of a file. */
export function temporaryFolders(): () => string {
  const parent = mkdtempSync(join(tmpdir(), 'vmbuild-images-'));
  afterAll(() => rmSync(parent, { recursive: true, force: true }));
  return () => mkdtempSync(join(parent, 'x-'));
}
