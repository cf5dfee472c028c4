import { spawnSync } from 'node:child_process';
import {
  appendFile,
  chmod,
  cp,
  mkdir,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { removeTree } from '../../src/io/files.ts';
import { ownerPrefix } from '../../src/io/owner.ts';
import { type Digest, sha256 } from '../../src/model/digest.ts';
import { artifactOf } from '../../src/model/realisation.ts';
import { checkStore } from '../../src/store/check/checkStore.ts';
import type { Finding } from '../../src/store/check/finding.ts';
import { openStore, openStoreForReading, type Store } from '../../src/store/openStore.ts';
import { temporary } from '../support/temporary.ts';
import { putBuild, putImage, putSource } from './makeStore.ts';

const isRoot = process.getuid?.() === 0;

/** A store with one of everything. */
interface Sample {
  readonly store: Store;
  readonly artifact: Digest;
  readonly source: Digest;
  readonly image: Digest;
  readonly key: Digest;
  /** A path in the store. */
  readonly at: (path: string) => string;
}

/** Flushing takes its time, so one store is made and copied. */
let original: Promise<{ root: string; names: Omit<Sample, 'store' | 'at'> }> | undefined;

async function makeOriginal(): Promise<{ root: string; names: Omit<Sample, 'store' | 'at'> }> {
  const root = join(await mkdtemp(join(tmpdir(), 'vmbuild-test-')), 'store');
  const store = await openStore(root);
  const image = await putImage(store);
  const source = await putSource(store, 'a source');
  const statement = await putBuild(store, { target: 'one', image, inputs: { source }, output: 'one' });
  await writeFile(store.layout.lock('build', source.digest), '');
  const { buildKey: key } = statement.predicate.buildDefinition.internalParameters;
  store.pins[Symbol.dispose]();
  return { root, names: { image, source: source.digest, artifact: artifactOf(statement), key } };
}

afterAll(async () => removeTree(dirname((await original)?.root ?? '')));

async function sample(): Promise<Sample> {
  const { root, names } = await (original ??= makeOriginal());
  const copy = join(await temporary(), 'store');
  await cp(root, copy, { recursive: true, verbatimSymlinks: true });
  return { store: await openStore(copy), ...names, at: (path) => join(copy, path) };
}

async function check(store: Store): Promise<Finding[]> {
  const findings: Finding[] = [];
  await checkStore(store, {
    signal: new AbortController().signal,
    onFinding: (finding) => void findings.push(finding),
    threads: 1,
  });
  return findings;
}

/** Turns one bit of a file over. */
async function flipBit(path: string, offset = 0): Promise<void> {
  await using file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, offset);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await file.write(byte, 0, 1, offset);
}

describe('a check of a store', () => {
  it('counts what it has looked at, and finds nothing in a store that is well', async () => {
    const { store } = await sample();
    const findings: Finding[] = [];
    const seen: number[] = [];
    const summary = await checkStore(store, {
      signal: new AbortController().signal,
      onFinding: (finding) => void findings.push(finding),
      onProgress: ({ done, total }) => void seen.push(done, total),
    });
    expect(findings).toEqual([]);
    expect(summary).toMatchObject({ artifacts: 1, sources: 1, images: 1, realisations: 1, logs: 1, targets: 1 });
    expect(summary.bytes).toBeGreaterThan(10_000);
    expect(seen.slice(-2)).toEqual([3, 3]);
  });

  it('finds nothing in a store that is empty, or not there, and makes none', async () => {
    const root = join(await temporary(), 'store');
    expect(await check(await openStoreForReading(root))).toEqual([]);
    expect(await check(await openStore(root))).toEqual([]);
  });

  type Spoil = (sample: Sample) => Promise<unknown>;
  type Where = (sample: Sample) => string;
  const artifactFile =
    (path: string): Where =>
    ({ artifact }) =>
      `artifacts/${artifact}/${path}`;
  const spoilt: [what: string, spoil: Spoil, trouble: Finding['trouble'], where: Where][] = [
    [
      'a bit of an artifact',
      (s) => flipBit(s.at(artifactFile('file')(s))),
      'damaged',
      (s) => `artifacts/${s.artifact}`,
    ],
    [
      'a file of an artifact that is gone',
      (s) => rm(s.at(artifactFile('sub/empty')(s))),
      'damaged',
      (s) => `artifacts/${s.artifact}`,
    ],
    [
      'a file more in an artifact',
      (s) => writeFile(s.at(artifactFile('sub/more')(s)), ''),
      'damaged',
      (s) => `artifacts/${s.artifact}`,
    ],
    [
      'a file of an artifact that was cut off',
      (s) => writeFile(s.at(artifactFile('file')(s)), 'on'),
      'damaged',
      (s) => `artifacts/${s.artifact}`,
    ],
    [
      'an artifact with a lost exec bit',
      (s) => chmod(s.at(artifactFile('run')(s)), 0o644),
      'damaged',
      (s) => `artifacts/${s.artifact}`,
    ],
    [
      'an artifact with modes of its own',
      (s) => chmod(s.at(artifactFile('file')(s)), 0o640),
      'damaged',
      (s) => `artifacts/${s.artifact}`,
    ],
    [
      'an artifact whose folder others may write to',
      (s) => chmod(s.at(`artifacts/${s.artifact}`), 0o777),
      'damaged',
      (s) => `artifacts/${s.artifact}`,
    ],
    [
      'an artifact with a link that leads elsewhere',
      async (s) => {
        await rm(s.at(artifactFile('link')(s)));
        await symlink('/etc/passwd', s.at(artifactFile('link')(s)));
      },
      'damaged',
      (s) => `artifacts/${s.artifact}`,
    ],
    [
      'a file where an artifact should be',
      async (s) => {
        await removeTree(s.at(`artifacts/${s.artifact}`));
        await writeFile(s.at(`artifacts/${s.artifact}`), '');
      },
      'damaged',
      (s) => `artifacts/${s.artifact}`,
    ],
    [
      'an artifact that is gone',
      (s) => removeTree(s.at(`artifacts/${s.artifact}`)),
      'missing',
      (s) => `artifacts/${s.artifact}`,
    ],
    [
      'an artifact under no digest',
      (s) => cp(s.at(`artifacts/${s.artifact}`), s.at('artifacts/mine'), { recursive: true }),
      'extra',
      () => 'artifacts/mine',
    ],
    ['a bit of a source', (s) => flipBit(s.at(`sources/${s.source}`), 3), 'damaged', (s) => `sources/${s.source}`],
    [
      'a source that was cut off',
      (s) => writeFile(s.at(`sources/${s.source}`), ''),
      'damaged',
      (s) => `sources/${s.source}`,
    ],
    ['a partial download', (s) => writeFile(s.at('sources/x.part'), ''), 'extra', () => 'sources/x.part'],
    [
      'a bit of a file of an image',
      (s) => flipBit(s.at(`images/${s.image}/rootfs/usr/text`)),
      'damaged',
      (s) => `images/${s.image}`,
    ],
    [
      'an image without its root',
      (s) => removeTree(s.at(`images/${s.image}/rootfs`)),
      'damaged',
      (s) => `images/${s.image}`,
    ],
    [
      'an image without its config',
      (s) => rm(s.at(`images/${s.image}/config.json`)),
      'damaged',
      (s) => `images/${s.image}`,
    ],
    [
      'a bit of the config of an image',
      (s) => flipBit(s.at(`images/${s.image}/config.json`), 20),
      'damaged',
      (s) => `images/${s.image}`,
    ],
    [
      'something more in an image',
      (s) => writeFile(s.at(`images/${s.image}/x`), ''),
      'extra',
      (s) => `images/${s.image}/x`,
    ],
    [
      'a realisation that was cut off',
      (s) => writeFile(s.at(`realisations/${s.key}.json`), '{'),
      'damaged',
      (s) => `realisations/${s.key}.json`,
    ],
    [
      'a realisation of another build key',
      (s) => rename(s.at(`realisations/${s.key}.json`), s.at(`realisations/${sha256('')}.json`)),
      'damaged',
      () => `realisations/${sha256('')}.json`,
    ],
    [
      'a realisation that lies about a file',
      async (s) => {
        const path = s.at(`realisations/${s.key}.json`);
        await writeFile(path, (await readFile(path, 'utf8')).replace(sha256('one'), sha256('two')));
      },
      'damaged',
      (s) => `realisations/${s.key}.json`,
    ],
    [
      'a file that was half written',
      (s) => writeFile(s.at('realisations/.x.1.abc.tmp'), ''),
      'extra',
      () => 'realisations/.x.1.abc.tmp',
    ],
    [
      'a log that was cut off',
      async (s) =>
        writeFile(s.at(`logs/${s.key}.log.zst`), (await readFile(s.at(`logs/${s.key}.log.zst`))).subarray(0, 99)),
      'damaged',
      (s) => `logs/${s.key}.log.zst`,
    ],
    ['an empty log', (s) => writeFile(s.at(`logs/${s.key}.log.zst`), ''), 'damaged', (s) => `logs/${s.key}.log.zst`],
    [
      'a record of a target that is no JSON',
      (s) => writeFile(s.at('last/one.json'), '{"target"'),
      'damaged',
      () => 'last/one.json',
    ],
    [
      'a record of another target',
      (s) => rename(s.at('last/one.json'), s.at('last/two.json')),
      'damaged',
      () => 'last/two.json',
    ],
    [
      'a lock that is no lock',
      (s) => appendFile(s.store.layout.lock('build', s.source), 'x'),
      'damaged',
      (s) => `locks/build-${s.source}`,
    ],
    ['a lock of nothing', (s) => writeFile(s.at('locks/x'), ''), 'extra', () => 'locks/x'],
    ['scratch of nobody', (s) => mkdir(s.at('tmp/x')), 'extra', () => 'tmp/x'],
    [
      'scratch of a process that is gone',
      (s) => mkdir(s.at('tmp/00000000.1.1.1.x')),
      'leftover',
      () => 'tmp/00000000.1.1.1.x',
    ],
    ['a file of somebody else', (s) => writeFile(s.at('notes'), ''), 'extra', () => 'notes'],
  ];
  it.each(spoilt)('finds %s', async (_what, spoil, trouble, where) => {
    const one = await sample();
    await spoil(one);
    const findings = await check(one.store);
    expect(findings.map(({ trouble: found, path }) => ({ trouble: found, path }))).toEqual([
      { trouble, path: where(one) },
    ]);
  });

  it('takes scratch of living processes, a README and an image that lies elsewhere for what they are', async () => {
    const { store, image, at } = await sample();
    await mkdir(at(`tmp/${ownerPrefix()}x`));
    await writeFile(at('README.md'), 'mine');
    const elsewhere = join(await temporary(), 'image');
    await rename(store.layout.image(image), elsewhere);
    await symlink(elsewhere, store.layout.image(image));
    expect(await check(store)).toEqual([]);
    await flipBit(join(elsewhere, 'rootfs', 'usr', 'text'));
    expect(await check(store)).toMatchObject([{ trouble: 'damaged', what: 'image' }]);
  });

  it('names everything that is wrong, not only the first', async () => {
    const { store, source, image, key, at } = await sample();
    await flipBit(at(`sources/${source}`));
    await flipBit(at(`images/${image}/rootfs/usr/text`));
    await writeFile(at(`logs/${key}.log.zst`), '');
    expect((await check(store)).length).toBe(3);
  });

  it.skipIf(!isRoot || spawnSync('setpriv', ['--version']).error !== undefined)(
    'tells what this user may not read from what is damaged (needs root to become another user)',
    async () => {
      const { store, source } = await sample();
      await chmod(dirname(store.layout.root), 0o755);
      await chmod(store.layout.file(source), 0o600);
      const module = (name: string): string => JSON.stringify(new URL(`../../src/store/${name}`, import.meta.url).href);
      const script = `const { checkStore } = await import(${module('check/checkStore.ts')});
        const { openStoreForReading } = await import(${module('openStore.ts')});
        const onFinding = ({ trouble, path }) => process.stdout.write(trouble + ' ' + path);
        const store = await openStoreForReading(${JSON.stringify(store.layout.root)});
        await checkStore(store, { signal: new AbortController().signal, onFinding });`;
      const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
      const { stdout, stderr } = spawnSync('setpriv', [...user, process.execPath, '--input-type=module', '-e', script]);
      expect(stderr.toString()).toBe('');
      expect(stdout.toString()).toBe(`unreadable sources/${source}`);
    },
  );

  it('stops when it is told to', async () => {
    const { store } = await sample();
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(checkStore(store, { signal, onFinding: () => {} })).rejects.toThrow('enough');
  });
});
