import { spawnSync } from 'node:child_process';
import { expect } from 'vitest';

/** A part as `vmbuild inspect --json` prints it. */
export interface JsonPart {
  readonly name: string;
  readonly kind: string;
  readonly offset: number;
  readonly place?: number;
  readonly contentSize: number;
  readonly unpackedSize?: number;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly problems: readonly string[];
  readonly from?: unknown;
  readonly parts: readonly JsonPart[];
}

/** A part and all that are in it. */
export function allParts(part: JsonPart): readonly JsonPart[] {
  return [part, ...part.parts.flatMap(allParts)];
}

/** Checks that areas and files of an image are those that cbfstool shows. */
export function expectAgreement(root: JsonPart, path: string, cbfstool: string): void {
  expect(cbfsRows(root)).toEqual(cbfstoolRows(path, cbfstool));
  const areas = allParts(root).filter(({ kind }) => kind === 'area');
  const layout = spawnSync(cbfstool, [path, 'layout'], { encoding: 'utf8' }).stdout;
  const theirs = [...layout.matchAll(/^'(\w+)' \((?:CBFS, )?(?:read-only, )?size (\d+), offset (\d+)\)/gm)];
  expect(theirs.length).toBeGreaterThan(0);
  for (const [, name, size, offset] of theirs) {
    expect(areas).toContainEqual(expect.objectContaining({ name, contentSize: Number(size), place: Number(offset) }));
  }
}

/** The files of COREBOOT as `cbfstool print` shows them. */
function cbfsRows(root: JsonPart): readonly string[] {
  const area = allParts(root).find(({ kind, name }) => kind === 'area' && name === 'COREBOOT');
  return (area?.parts ?? []).map(({ name, kind, offset, contentSize, facts }) =>
    [
      name.replace(/ #\d+$/, ''),
      `0x${offset.toString(16)}`,
      kind === 'free' ? 'null' : facts['type'],
      contentSize,
      facts['compression'] ?? 'none',
    ].join(' '),
  );
}

function cbfstoolRows(path: string, cbfstool: string): readonly string[] {
  const { stdout } = spawnSync(cbfstool, [path, 'print'], { encoding: 'utf8' });
  const rows = stdout.trimEnd().split('\n').slice(2);
  // Some releases do not know the type of the table of microcode.
  return rows.map((row) =>
    row
      .trim()
      .replace(/ \(\d+ decompressed\)$/, '')
      .replace('(unknown)', 'intel_fit')
      .replace(/\s+/g, ' '),
  );
}
