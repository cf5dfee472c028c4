import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ociConfig } from '../../src/formats/ociImage.ts';
import { listTree, treeDigest } from '../../src/io/tree.ts';
import { type BuildKeyDocument, buildKey, type Content } from '../../src/model/buildKey.ts';
import { type Digest, sha256 } from '../../src/model/digest.ts';
import { artifactOf, type Realisation, realisation } from '../../src/model/realisation.ts';
import { adoptTree } from '../../src/store/artifacts.ts';
import { adoptImage } from '../../src/store/images.ts';
import { storeLog } from '../../src/store/logs.ts';
import { openStore, type Store } from '../../src/store/openStore.ts';
import { noteRun, recordRealisation } from '../../src/store/realisations.ts';
import { noteRoot, type Root } from '../../src/store/roots.ts';
import { adoptSource } from '../../src/store/sources.ts';
import { RUN } from '../support/runFacts.ts';
import { temporary } from '../support/temporary.ts';

/** Puts an image with this text in it into a store. */
export async function putImage(store: Store, text = 'an image', sources: readonly Digest[] = []): Promise<Digest> {
  const rootfs = await mkdtemp(join(store.layout.temporary, 'rootfs-'));
  await chmod(rootfs, 0o755);
  await mkdir(join(rootfs, 'usr'));
  await writeFile(join(rootfs, 'usr', 'text'), text);
  await symlink('/usr/text', join(rootfs, 'link'));
  const layer = treeDigest(rootfs, listTree(rootfs, 'image'));
  const config = ociConfig({ diffIds: [layer], env: [], workingDir: '/', user: '0:0', command: [], history: ['test'] });
  return (await adoptImage(store, rootfs, config, { rootfs: layer, sources })).digest;
}

/** Ends what this process relies on, so that a collection takes it for gone, and opens the store again. */
export async function reopen(store: Store): Promise<Store> {
  store.pins[Symbol.dispose]();
  return openStore(store.layout.root);
}

/** Makes a recorded build the last result of its target, as realising it does. */
export async function putRoot(store: Store, statement: Realisation, steps: readonly Realisation[] = []): Promise<Root> {
  const { externalParameters, internalParameters } = statement.predicate.buildDefinition;
  const root: Root = {
    kind: 'last',
    target: externalParameters.target,
    derivation: externalParameters.derivation,
    buildKey: internalParameters.buildKey,
    steps: [statement, ...steps].map(keyOf).sort(),
    outputsOnly: false,
    at: new Date().toISOString(),
  };
  await noteRoot(store, root);
  return root;
}

/** The build key of a recorded build. */
export function keyOf({ predicate }: Realisation): Digest {
  return predicate.buildDefinition.internalParameters.buildKey;
}

/** Puts a source of one file into a store. */
export async function putSource(store: Store, text: string): Promise<Content> {
  const file = join(store.layout.temporary, `source-${sha256(text)}`);
  await writeFile(file, text);
  const content: Content = { kind: 'file', digest: sha256(text) };
  await adoptSource(store, content, file);
  return content;
}

/** A folder as a step would leave it in /out. */
async function outputFolder(store: Store, text: string): Promise<string> {
  const folder = await mkdtemp(join(store.layout.temporary, 'out-'));
  await mkdir(join(folder, 'sub'));
  await writeFile(join(folder, 'file'), text);
  await writeFile(join(folder, 'run'), '#!/bin/sh\n', { mode: 0o755 });
  await writeFile(join(folder, 'sub', 'empty'), '');
  await symlink('sub/empty', join(folder, 'link'));
  return folder;
}

/** A step that was "built": its document, and what it left. */
interface Built {
  readonly target: string;
  readonly image: Digest;
  readonly inputs?: Readonly<Record<string, Content>>;
  readonly output: string;
}

/** Records a build that never ran: artifact, realisation, log and record of the target. */
export async function putBuild(store: Store, { target, image, inputs = {}, output }: Built): Promise<Realisation> {
  const document: BuildKeyDocument = {
    format: 1,
    platform: 'linux/amd64',
    sandbox: 1,
    image,
    command: ['make', target],
    env: {},
    recipe: sha256(''),
    sourceDateEpoch: 1,
    inputs,
  };
  const key = buildKey(document);
  const derivation = sha256(target);
  const statement = realisation(await adoptTree(store, await outputFolder(store, output)), {
    target,
    derivation,
    buildKey: key,
    document,
    ...RUN,
  });
  await recordRealisation(store, statement);
  const log = join(store.layout.temporary, `log-${key}`);
  await writeFile(log, Array.from({ length: 500 }, (_, index) => sha256(`${target}${index}`)).join('\n'));
  await storeLog(store, key, log);
  await rm(log);
  await noteRun(store, target, 'built', { derivation, buildKey: key, at: new Date().toISOString(), durationMs: 1 });
  return statement;
}

/** `app` is made of `lib` and a source, in an image that was made of a package; nothing is a root yet. */
export interface Sample {
  readonly store: Store;
  readonly lib: Realisation;
  readonly app: Realisation;
  readonly image: Digest;
  readonly deb: Digest;
  readonly source: Digest;
}

/** Puts a sample into a new store. */
export async function putSample(): Promise<Sample> {
  const store = await openStore(join(await temporary(), 'store'));
  const deb = (await putSource(store, 'a package')).digest;
  const image = await putImage(store, 'an image', [deb]);
  const source = await putSource(store, 'a source');
  const lib = await putBuild(store, { target: 'lib', image, output: 'lib' });
  const inputs = { lib: treeOf(lib), source };
  const app = await putBuild(store, { target: 'app', image, inputs, output: 'app' });
  return { store: await reopen(store), lib, app, image, deb, source: source.digest };
}

/** The artifact of a build as an input of another. */
function treeOf(statement: Realisation): Content {
  return { kind: 'tree', digest: artifactOf(statement) };
}
