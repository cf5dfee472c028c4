import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { exitCodeOf } from '../../src/cli/exitCodes.ts';
import { ERROR_CODES, type ErrorCode, explainSystemError, VmbuildError } from '../../src/model/errors.ts';

const documented = new Map(
  [
    ...readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8').matchAll(
      /^\| `([A-Z_]+)` \| (\d+) \| ([^|]+) \| ([^|]+) \|$/gm,
    ),
  ].map(([, code, exit, meaning, remedy]) => [code, { exit: Number(exit), meaning, remedy }]),
);

describe('docs/errors.md', () => {
  it('documents exactly the codes that exist', () => {
    expect([...documented.keys()].sort()).toEqual(Object.keys(ERROR_CODES).sort());
  });

  it.each(Object.keys(ERROR_CODES))('has the true exit code of %s', (code) => {
    expect(documented.get(code)?.exit).toBe(exitCodeOf(new VmbuildError(code as ErrorCode, 'x')));
  });
});

describe('explainSystemError', () => {
  it.each([
    ['ENOSPC', 'DISK_FULL'],
    ['EDQUOT', 'DISK_FULL'],
    ['EROFS', 'STORE_UNUSABLE'],
    ['EACCES', 'STORE_UNUSABLE'],
    ['EIO', 'STORE_UNUSABLE'],
    ['EUCLEAN', 'STORE_UNUSABLE'],
    // As Node itself calls them: EUCLEAN and EDQUOT.
    ['Unknown system error -117', 'STORE_UNUSABLE'],
    ['Unknown system error -122', 'DISK_FULL'],
  ])('turns %s into %s with a hint', (system, code) => {
    const cause = Object.assign(new Error('x'), { code: system });
    const error = explainSystemError(cause, 'testing') as VmbuildError;
    expect(error).toMatchObject({ code, cause });
    expect(error.hints.length).toBeGreaterThan(0);
  });

  it('takes a recursive mkdir that does not find its own folder for a disk that failed', () => {
    const error = Object.assign(new Error('x'), { code: 'ENOENT', syscall: 'mkdir' });
    expect(explainSystemError(error, 'testing')).toMatchObject({ code: 'STORE_UNUSABLE', cause: error });
  });

  it('leaves everything else as it is', () => {
    const missing = Object.assign(new Error('x'), { code: 'ENOENT', syscall: 'open' });
    for (const other of [new Error('x'), missing]) expect(explainSystemError(other, 'testing')).toBe(other);
  });
});
