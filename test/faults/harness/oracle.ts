import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { listTree, treeDigest } from '../../../src/io/tree.ts';
import { buildKey } from '../../../src/model/buildKey.ts';
import { canonicalJson, type Json } from '../../../src/model/canonicalJson.ts';
import { sha256 } from '../../../src/model/digest.ts';
import { errorMessage } from '../../../src/model/errors.ts';
import { artifactOf, type Realisation } from '../../../src/model/realisation.ts';
import { STORE_FOLDERS } from '../../../src/store/layout.ts';
import type { Root } from '../../../src/store/roots.ts';

/**
 * Everything that is wrong in a store which nobody uses at the moment, as sentences. It looks at every byte, and is
 * written apart from `vmbuild store check`, so that the two can be held against each other.
 */
export function problemsIn(store: string): readonly string[] {
  const problems: string[] = [];
  const judge = (folder: string, name: string, check: (path: string) => string | undefined): void => {
    let problem: string | undefined;
    try {
      problem = check(join(store, folder, name));
    } catch (error) {
      problem = errorMessage(error);
    }
    if (problem !== undefined) problems.push(`${folder}/${name}: ${problem}`);
  };
  const eachIn = (folder: string, check: (path: string, name: string) => string | undefined): void => {
    for (const name of namesIn(join(store, folder))) judge(folder, name, (path) => check(path, name));
  };

  eachIn('artifacts', checkTree);
  eachIn('sources', (path, name) => same(sha256(readFileSync(path)), name));
  eachIn('images', (path, name) => (name.endsWith('.json') ? checkImageRecord(path) : checkImage(path, name)));
  eachIn('realisations', (path, name) => checkRealisation(path, name, store));
  eachIn('logs', (path, name) => {
    zstdDecompressSync(readFileSync(path));
    return /^[0-9a-f]{64}\.log\.zst$/.test(name) ? undefined : 'is not a log';
  });
  eachIn('last', (path, name) => {
    const { target } = JSON.parse(readFileSync(path, 'utf8')) as { target: string };
    return same(`${target}.json`, name);
  });
  eachIn('locks', (path) => (lstatSync(path).size === 0 ? undefined : 'a lock holds something'));
  eachIn('roots', (path, name) => checkRoot(path, name, store));
  for (const folder of ['tmp', 'running']) eachIn(folder, () => 'was left behind');
  for (const name of namesIn(store)) {
    if (!KNOWN.includes(name)) problems.push(`${name} does not belong into a store`);
  }
  return problems;
}

const KNOWN: readonly string[] = [...STORE_FOLDERS, 'format'];

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function same(found: string, name: string): string | undefined {
  return found === name ? undefined : `is ${found}`;
}

function checkTree(path: string, name: string): string | undefined {
  const entries = listTree(path);
  const odd = entries.find((entry) => entry.type !== 'symlink' && modeOf(`${path}/${entry.path}`) !== entry.mode);
  return odd === undefined ? same(treeDigest(path, entries), name) : `${odd.path} has another mode`;
}

function modeOf(path: string): number {
  return lstatSync(path).mode & 0o7777;
}

function checkImage(path: string, name: string): string | undefined {
  const config = readFileSync(join(path, 'config.json'), 'utf8');
  const { rootfs } = JSON.parse(config) as { rootfs: { diff_ids: readonly string[] } };
  const root = join(path, 'rootfs');
  const layer = `sha256:${treeDigest(root, listTree(root, 'image'))}`;
  return same(sha256(config), name) ?? (rootfs.diff_ids[0] === layer ? undefined : `its root is ${layer}`);
}

function checkImageRecord(path: string): string | undefined {
  const { check, ...noted } = JSON.parse(readFileSync(path, 'utf8')) as { readonly [key: string]: Json };
  return check === sha256(canonicalJson(noted)) ? undefined : 'is not what its sum says';
}

function checkRoot(path: string, name: string, store: string): string | undefined {
  const { kind, target, steps = [] } = JSON.parse(readFileSync(path, 'utf8')) as Root;
  const unknown = steps.find((key) => !namesIn(join(store, 'realisations')).includes(`${key}.json`));
  return unknown === undefined ? same(`${kind}-${target}.json`, name) : `keeps ${unknown}, which is not on record`;
}

function checkRealisation(path: string, name: string, store: string): string | undefined {
  const statement = JSON.parse(readFileSync(path, 'utf8')) as Realisation;
  const { document, buildKey: key } = statement.predicate.buildDefinition.internalParameters;
  if (buildKey(document) !== key) return 'is of another build key than it says';
  const artifact = artifactOf(statement);
  const known = [...namesIn(join(store, 'artifacts')), ...namesIn(join(store, 'collected'))];
  if (!known.includes(artifact)) return `names ${artifact}, which is not there`;
  return same(`${key}.json`, name);
}
