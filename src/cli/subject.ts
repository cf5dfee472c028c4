import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { planSteps } from '../build/plan.ts';
import type { Project } from '../build/project.ts';
import type { Part } from '../firmware/parts/part.ts';
import { readRom } from '../firmware/parts/readRom.ts';
import type { MadeFile } from '../firmware/producers.ts';
import type { BlobSlots } from '../model/blobSlot.ts';
import { type Digest, isDigest } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import { isTargetName } from '../model/names.ts';
import { artifactOf, filesOf, type Realisation } from '../model/realisation.ts';
import type { Platform } from '../model/recipe.ts';
import { findTree } from '../store/artifacts.ts';
import { indexRecords } from '../store/gc/recordIndex.ts';
import { readRealisation } from '../store/realisations.ts';
import type { Context } from './context.ts';
import { readFlashFile } from './readFlashFile.ts';

/** A firmware image that somebody names on the command line, and what is known of it. */
export interface Subject {
  readonly path: string;
  readonly image: Buffer;
  readonly root: Part;
  /** The realisation that it is from, if it is from the store. */
  readonly made: Made | undefined;
  readonly platform: Platform | undefined;
  /** The slots of the platform. */
  readonly slots: BlobSlots;
  /** Everything that it was made of, inputs first, itself last; nothing for a file. */
  readonly graph: readonly Made[];
}

/** What a target came to. */
export interface Made {
  readonly target: string;
  readonly artifact: Digest;
  readonly buildKey: Digest;
  readonly statement: Realisation;
}

/** What the options say of the image. */
export interface SubjectOptions {
  /** Whose blobs and budget count, if the image does not tell it. */
  readonly platform?: string;
  /** Name of a file of the artifact. */
  readonly file?: string;
}

/**
 * Finds the image that `what` names: an artifact by its digest, the last result of a target, or else a file. A file that is called
 * like a target is named with a folder: `./rom`.
 */
export async function findSubject(what: string, context: Context, options: SubjectOptions = {}): Promise<Subject> {
  const { project, store } = context;
  if (!isDigest(what) && !isTargetName(what)) {
    const path = resolve(what);
    const image = await readFlashFile(path, (message) => new VmbuildError('USAGE', message));
    return subject(path, image, [], await platformOf(project, options.platform));
  }
  const graph = isDigest(what) ? await graphOfArtifact(what, context) : await graphOfTarget(what, context);
  const artifact = isDigest(what) ? what : graph.at(-1)?.artifact;
  const folder = artifact && (await findTree(store, artifact));
  if (folder === undefined) {
    throw new VmbuildError('NOT_REALISED', `the store has no artifact ${what}`, {
      hints: isDigest(what) ? [] : [`vmbuild realize ${what}`],
    });
  }
  const target = graph.at(-1)?.target;
  const path = join(folder, options.file ?? largestFile(graph.at(-1), what));
  const platform = options.platform ?? (await platformName(project, target));
  const image = await readFlashFile(path, (message) => new VmbuildError('USAGE', message));
  return subject(path, image, graph, await platformOf(project, platform));
}

function subject(path: string, image: Buffer, graph: readonly Made[], platform: Platform | undefined): Subject {
  const root = readRom(image, basename(path));
  return { path, image, root, made: graph.at(-1), platform, slots: platform?.blobs ?? {}, graph };
}

/** Everything that a target is made of, as its recipe is now: inputs first, itself last. */
export async function graphOfTarget(
  target: string,
  { evaluator, store }: Pick<Context, 'evaluator' | 'store'>,
): Promise<readonly Made[]> {
  const plan = await planSteps([await evaluator.evaluate(target)], store);
  const made = plan.flatMap(({ step, statement }) => (statement === undefined ? [] : [madeBy(step.target, statement)]));
  if (made.at(-1)?.target === target) return made;
  throw new VmbuildError('NOT_REALISED', `${target} is not in the store as its recipe is now`, {
    hints: [`vmbuild realize ${target}`],
  });
}

/** Everything that an artifact is made of, inputs first, itself last; as far as the store's records tell. */
export async function graphOfArtifact(artifact: Digest, { store }: Pick<Context, 'store'>): Promise<readonly Made[]> {
  const index = await indexRecords(store);
  const found = new Map<Digest, Made | undefined>();
  const visit = async (digest: Digest): Promise<void> => {
    const [record] = index.producers(digest);
    if (record === undefined || found.has(digest)) return;
    found.set(digest, undefined); // its place is behind its inputs
    for (const input of record.inputs) await visit(input);
    const statement = await readRealisation(store, record.key);
    found.delete(digest);
    if (statement !== undefined) found.set(digest, madeBy(record.target, statement));
  };
  await visit(artifact);
  return [...found.values()].filter((made) => made !== undefined);
}

function madeBy(target: string, statement: Realisation): Made {
  const { buildKey } = statement.predicate.buildDefinition.internalParameters;
  return { target, artifact: artifactOf(statement), buildKey, statement };
}

/** A ROM lies beside its layout and its licences. */
function largestFile(made: Made | undefined, what: string): string {
  const files = made === undefined ? [] : filesOf(made.statement);
  const [largest] = files.toSorted((a, b) => b.annotations.size - a.annotations.size);
  if (largest !== undefined) return largest.name;
  throw new VmbuildError('USAGE', `it is not known which file of ${what} to look at`, { hints: ['--file <name>'] });
}

/** The platform that a target is made for; undefined if it is made for none, or is no target any more. */
async function platformName(project: Project, target: string | undefined): Promise<string | undefined> {
  if (target === undefined) return undefined;
  try {
    return (await project.locate(target)).platform?.name;
  } catch (error) {
    if (error instanceof VmbuildError && error.code === 'RECIPE_NOT_FOUND') return undefined;
    throw error;
  }
}

async function platformOf(project: Project, name: string | undefined): Promise<Platform | undefined> {
  return name === undefined ? undefined : project.platform(name);
}

/** The files of everything that an image was made of, for who wants to know where its parts are from. */
export function madeFiles({ graph }: Pick<Subject, 'graph'>, { store }: Pick<Context, 'store'>): readonly MadeFile[] {
  return graph.flatMap(({ target, artifact, statement }) =>
    filesOf(statement).map(({ name, digest, annotations }) => ({
      target,
      name,
      digest: digest.sha256,
      size: annotations.size,
      read: () => readFile(join(store.layout.tree(artifact), name)),
    })),
  );
}

/** The last other result of the same target that the store still has. */
export async function previousOf({ made }: Pick<Subject, 'made'>, { store }: Context): Promise<Digest | undefined> {
  if (made === undefined) return undefined;
  const others = (await indexRecords(store))
    .all()
    .filter(({ target, artifact }) => target === made.target && artifact !== made.artifact)
    .toSorted((a, b) => b.usedAt - a.usedAt);
  for (const { artifact } of others) if ((await findTree(store, artifact)) !== undefined) return artifact;
  return undefined;
}
