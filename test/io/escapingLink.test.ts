import fc from 'fast-check';
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isWinding } from '../../src/io/escapingLink.ts';
import { listTree } from '../../src/io/tree.ts';
import { temporary } from '../support/temporary.ts';

describe('links in a tree', () => {
  it.each([
    ['a', false],
    ['..', false],
    ['../../a/b', false],
    ['./../a', false],
    ['a/..', true],
    ['a/../b', true],
    ['./a/..', true],
    ['a/./../b', true],
    ['a//../b', true],
    ['.a/..', true],
    ['...', false],
    ['.../..', true],
    ['../..a/x', false],
  ])('%s winds: %s', (target, expected) => {
    expect(isWinding(target)).toBe(expected);
  });

  it('never lead out, if the tree is taken: the kernel, asked about every link of random trees, agrees', async () => {
    const folder = await temporary();
    const part = fc.constantFrom('a', 'b', 'd', 's', '..', '.');
    const target = fc.array(part, { minLength: 1, maxLength: 7 }).map((parts) => parts.join('/'));
    const place = fc.constantFrom('s', 'a', 'd/s', 'd/a', 'd/d/b');
    let [taken, number] = [0, 0];
    fc.assert(
      fc.property(fc.dictionary(place, target, { minKeys: 1 }), (links) => {
        const root = join(folder, String((number += 1)), 'above', 'root');
        mkdirSync(join(root, 'd', 'd'), { recursive: true });
        // Whatever a link names is there, outside as well.
        for (const outside of ['..', '../..']) writeFileSync(join(root, outside, 'b'), '');
        for (const [path, to] of Object.entries(links)) symlinkSync(to, join(root, path));
        try {
          listTree(root);
        } catch {
          return;
        }
        taken += 1;
        for (const path of Object.keys(links)) {
          const end = resolved(join(root, path));
          if (end !== undefined) expect(`${end}/`).toContain(`${root}/`);
        }
      }),
      { numRuns: 500 },
    );
    expect(taken).toBeGreaterThan(50);
  });
});

function resolved(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined; // dangling, or a loop
  }
}
