import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generateSigningKey } from '../../src/attest/keys.ts';
import { NO_TRUST } from '../../src/attest/trust.ts';
import { formatManifest, type Manifest } from '../../src/build/closure/manifest.ts';
import { readClosure } from '../../src/build/closure/readClosure.ts';
import { archiveFolder } from '../../src/build/packArchive.ts';
import { type Digest, sha256 } from '../../src/model/digest.ts';
import { artifactOf } from '../../src/model/realisation.ts';
import { openStore } from '../../src/store/openStore.ts';
import { readStored } from '../../src/store/realisations.ts';
import { signStatement } from '../../src/attest/statements.ts';
import { trusting } from '../attest/statements.ts';
import { HOSTILE_ARCHIVES } from '../support/hostileArchives.ts';
import { temporary } from '../support/temporary.ts';
import { adoptStatedTree, findings, leftIn } from './stated.ts';

const alice = generateSigningKey();
const { signal } = new AbortController();

/** A closure as a folder: one source that is a file, one that is a tree, and one artifact that Alice has signed. */
interface Sample {
  readonly folder: string;
  readonly file: Digest;
  readonly tree: Digest;
  readonly artifact: Digest;
  readonly key: Digest;
  readonly manifest: Manifest;
  readonly path: (path: string) => string;
}

async function sample(): Promise<Sample> {
  const folder = join(await temporary(), 'closure');
  const path = (name: string): string => join(folder, 'cache', name);
  for (const name of ['sources', 'artifacts', 'statements']) mkdirSync(path(name), { recursive: true });
  const file = sha256('a source');
  writeFileSync(path(`sources/${file}`), 'a source');
  const origin = await openStore(await temporary());
  const module = await adoptStatedTree(origin, 'module', { 'go.mod': 'module x\n' });
  const built = await adoptStatedTree(origin, 'rom', { 'rom.bin': 'a rom' });
  for (const { digest } of [module, built]) {
    await archiveFolder(origin.layout.tree(digest), path(`artifacts/${digest}.tar.zst`), signal);
  }
  mkdirSync(path(`statements/${built.key}`));
  writeFileSync(
    path(`statements/${built.key}/${alice.publicKey.id}.jsonl`),
    `${JSON.stringify(signStatement(built.statement, alice))}\n`,
  );
  const manifest: Manifest = {
    format: 1,
    vmbuild: 'test',
    targets: [{ target: 'rom', derivation: sha256('rom') }],
    sources: [
      { name: 'a.txt', kind: 'file', digest: file },
      { name: 'module', kind: 'tree', digest: module.digest },
    ],
    results: [{ target: 'rom', buildKey: built.key, artifact: built.digest }],
    leftOut: [],
  };
  writeFileSync(join(folder, 'export.json'), formatManifest(manifest));
  return { folder, file, tree: module.digest, artifact: built.digest, key: built.key, manifest, path };
}

/** Packs a folder as an export does. */
async function packed({ folder }: Pick<Sample, 'folder'>): Promise<string> {
  const place = join(await temporary(), 'x.vmb');
  await archiveFolder(folder, place, signal);
  return place;
}

async function refused(place: string, trust = trusting([alice])): Promise<string> {
  const store = await openStore(await temporary());
  const error: unknown = await readClosure(place, { store, trust, signal }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: 'CLOSURE_INVALID' });
  expect(leftIn(store)).toEqual([]);
  expect(await findings(store)).toEqual([]);
  return (error as Error).message;
}

describe('vmbuild import', () => {
  it('takes all of a closure, from the file and from the folder that it was unpacked to', async () => {
    const it = await sample();
    for (const place of [await packed(it), it.folder]) {
      const store = await openStore(await temporary());
      const summary = await readClosure(place, { store, trust: trusting([alice]), signal });
      expect(summary).toMatchObject({ sources: 2, present: 0, artifacts: 1, notTrusted: 0 });
      expect(readFileSync(store.layout.file(it.file), 'utf8')).toBe('a source');
      expect(readFileSync(join(store.layout.tree(it.tree), 'go.mod'), 'utf8')).toBe('module x\n');
      const stored = readStored(store, it.key);
      expect(stored?.statement && artifactOf(stored.statement)).toBe(it.artifact);
      expect(stored?.envelopes).toHaveLength(1); // it is Alice's word, and no build on this machine
      expect(await findings(store)).toEqual([]);
      const again = await readClosure(place, { store, trust: trusting([alice]), signal });
      expect(again).toMatchObject({ sources: 0, present: 2, artifacts: 0 });
    }
  });

  it.each([
    { who: 'of nobody', trust: NO_TRUST },
    { who: 'of too few', trust: { ...trusting([alice]), need: 2 } },
  ])('takes sources, and no artifact on the word $who', async ({ trust }) => {
    const it = await sample();
    const store = await openStore(await temporary());
    const summary = await readClosure(it.folder, { store, trust, signal });
    expect(summary).toMatchObject({ sources: 2, artifacts: 0, notTrusted: 1 });
    expect(existsSync(store.layout.tree(it.artifact))).toBe(false);
    expect(readStored(store, it.key)).toBeUndefined();
  });

  const damages: readonly [string, (it: Sample) => void, RegExp][] = [
    ['a source is damaged', ({ path, file }) => writeFileSync(path(`sources/${file}`), 'a sourcE'), /a.txt is damaged/],
    ['a source is missing', ({ path, file }) => rmSync(path(`sources/${file}`)), /lacks the source a.txt/],
    ['a tree is missing', ({ path, tree }) => rmSync(path(`artifacts/${tree}.tar.zst`)), /lacks the source module/],
    [
      'two archives are swapped',
      ({ path, tree, artifact }) =>
        cpSync(path(`artifacts/${artifact}.tar.zst`), path(`artifacts/${tree}.tar.zst`), { force: true }),
      /is damaged: its digest/,
    ],
    ['the manifest is no JSON', ({ folder }) => writeFileSync(join(folder, 'export.json'), '{'), /cannot be read/],
    [
      'the manifest is of another format',
      ({ folder, manifest }) =>
        writeFileSync(join(folder, 'export.json'), formatManifest({ ...manifest, format: 2 as 1 })),
      /format/,
    ],
    [
      'the manifest names a path instead of a digest',
      ({ folder, manifest }) => {
        const sources = [{ name: 'x', kind: 'file' as const, digest: '../../../etc/passwd' as Digest }];
        writeFileSync(join(folder, 'export.json'), formatManifest({ ...manifest, sources }));
      },
      /must be a digest/,
    ],
    ['there is no manifest', ({ folder }) => rmSync(join(folder, 'export.json')), /no closure/],
    [
      'a source is a link to a file of this machine',
      ({ path, file, folder }) => {
        writeFileSync(join(folder, '..', 'secret'), 'a source');
        rmSync(path(`sources/${file}`));
        symlinkSync('../../../secret', path(`sources/${file}`));
      },
      /lacks the source|leads out/,
    ],
    [
      'a statement is none',
      ({ path, key }) => writeFileSync(path(`statements/${key}/${alice.publicKey.id}.jsonl`), 'x\n'),
      /no signed statement/,
    ],
  ];

  it.each(damages)('takes nothing if %s', async (_name, damage, complaint) => {
    const it = await sample();
    damage(it);
    expect(await refused(it.folder)).toMatch(complaint);
    const leads = it.folder; // a folder that holds a link out cannot be packed
    const file = await packed({ folder: leads }).catch(() => undefined);
    if (file !== undefined) expect(await refused(file)).toMatch(complaint);
  });

  it('takes nothing of a file with any bit turned over, or cut off anywhere', async () => {
    const good = readFileSync(await packed(await sample()));
    const place = join(await temporary(), 'bad.vmb');
    for (let step = 1; step < 16; step++) {
      const bytes = Buffer.from(good);
      const at = Math.floor((good.length * step) / 16);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
      writeFileSync(place, bytes);
      await refused(place);
      writeFileSync(place, good.subarray(0, at));
      await refused(place);
    }
  });

  it.each(HOSTILE_ARCHIVES)('takes nothing of $name', async ({ write, complaint }) => {
    const place = join(await temporary(), 'x.vmb');
    await write(place);
    expect(await refused(place)).toMatch(new RegExp(`${complaint.source}|no closure`));
  });

  it.each(HOSTILE_ARCHIVES)('takes nothing if a source in it is $name', async ({ write, complaint }) => {
    const it = await sample();
    await write(it.path(`artifacts/${it.tree}.tar.zst`));
    expect(await refused(it.folder)).toMatch(new RegExp(`${complaint.source}|is damaged`));
  });
});
