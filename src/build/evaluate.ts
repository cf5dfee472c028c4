import { type BlobSlots, type LicenceClass, strictest } from '../model/blobSlot.ts';
import { BUILD_PLATFORM, DEFAULT_SOURCE_DATE_EPOCH, SANDBOX_VERSION } from '../model/buildKey.ts';
import { type Derivation, derivationHash } from '../model/derivation.ts';
import type { Digest } from '../model/digest.ts';
import { errorMessage, VmbuildError } from '../model/errors.ts';
import { type LimitChanges, type LimitName, parseLimit } from '../model/limits.ts';
import type { FlashBudget, Platform, Recipe } from '../model/recipe.ts';
import { firstIssue, recipeSchema } from '../model/recipeSchema.ts';
import type { Source } from '../model/source.ts';
import type { Project, ProjectRoot, TargetLocation } from './project.ts';
import { loadRecipeFiles, type RecipeFiles } from './recipeFiles.ts';
import { resolveSource } from './resolveSource.ts';
import { type BlobLookup, type MissingBlob, takeBlobs, type TakenBlobs } from './takeBlobs.ts';

/** A recipe, checked and resolved: its derivation, and what is needed to run it. */
export interface Step {
  readonly target: string;
  readonly derivation: Derivation;
  /** Derivation hash. */
  readonly hash: Digest;
  readonly description: string;
  readonly recipeFile: string;
  readonly files: RecipeFiles;
  /** Image by name and by the digest that its lock states. */
  readonly image: LockedImage;
  /** Mount name → step that makes it. */
  readonly inputs: Readonly<Record<string, Step>>;
  /** Mount name → source. */
  readonly sources: Readonly<Record<string, Source>>;
  /** What its recipe says of limits. They are not in the derivation: changing one rebuilds nothing. */
  readonly limits: LimitChanges;
  readonly flashBudget: FlashBudget | undefined;
  /** Vendor blobs that the artifact is made without. */
  readonly lacks: BlobSlots;
  /** Vendor blobs that it is made with. */
  readonly takes: BlobSlots;
  /** Slots that it takes and nobody has filled on this machine; as long as there are any, it cannot be built. */
  readonly missingBlobs: readonly MissingBlob[];
  /** How far the artifact may travel: as far as the strictest of all that it is made from. */
  readonly licence: LicenceClass;
}

/** An image as planning knows it: from its lock alone. */
export interface LockedImage {
  readonly name: string;
  /** Folder with image.json and lock.json. */
  readonly folder: string;
  /** Digest of the OCI config. */
  readonly digest: Digest;
}

/**
 * Finds the locked image of this name, in the root `own` first; throws RECIPE_INVALID or IMAGE_NOT_LOCKED.
 * `usedBy` names file and field for messages.
 */
export type ImageCatalog = (name: string, usedBy: string, own?: ProjectRoot) => Promise<LockedImage>;

/** Evaluates recipes to steps, each target once. */
export interface Evaluator {
  /**
   * The step of a target, with all that it needs.
   *
   * @throws VmbuildError RECIPE_* that names file and field; nothing has run by then.
   */
  evaluate(target: string): Promise<Step>;
}

/**
 * Makes an evaluator for the recipes of a project. `blobs` is the only state of this machine that a derivation depends on,
 * and only that of a target which takes vendor blobs.
 */
export function createEvaluator(project: Project, images: ImageCatalog, blobs: BlobLookup = () => ({})): Evaluator {
  const steps = new Map<string, Promise<Step>>();
  const finished = new Set<string>();

  /** `path` are the targets on the way here: meeting one of them again is a cycle. */
  const evaluate = (target: string, path: Path | undefined, neededBy?: string): Promise<Step> => {
    let step = steps.get(target);
    // Only what has begun and not ended can be on the way; long ways are not searched for everything else.
    if (step !== undefined && !finished.has(target)) refuseCycle(target, path, neededBy);
    if (step === undefined) {
      step = evaluateTarget(target, path, neededBy);
      // Two branches may wait for it; each gets the same error, and neither is left unhandled.
      step.catch(() => {});
      steps.set(target, step);
    }
    return step;
  };

  const evaluateTarget = async (target: string, path: Path | undefined, neededBy?: string): Promise<Step> => {
    const location = await locate(project, target, neededBy);
    const recipe = await readRecipe(project, location);
    const inputs: Record<string, Step> = {};
    // One after another: a cycle is then always met on the path, and never as two promises that wait for each other.
    for (const [mount, name] of Object.entries(recipe.inputs ?? {})) {
      inputs[mount] = await evaluate(name, { target, before: path }, `${location.file}: inputs.${mount}`);
    }
    const step = await resolve(location, recipe, inputs, { images, blobs });
    finished.add(target);
    return step;
  };

  return { evaluate: async (target) => evaluate(target, undefined) };
}

/** The targets on the way to one that is evaluated, the last first. */
interface Path {
  readonly target: string;
  readonly before: Path | undefined;
}

function refuseCycle(target: string, path: Path | undefined, neededBy: string | undefined): void {
  const cycle = [target];
  for (let way = path; way !== undefined; way = way.before) {
    cycle.unshift(way.target);
    if (way.target !== target) continue;
    throw new VmbuildError('RECIPE_CYCLE', `${neededBy}: inputs: the recipes need each other: ${cycle.join(' → ')}`);
  }
}

async function locate(project: Project, target: string, neededBy: string | undefined): Promise<TargetLocation> {
  try {
    return await project.locate(target);
  } catch (error) {
    if (neededBy === undefined || !(error instanceof VmbuildError)) throw error;
    throw new VmbuildError(error.code, `${neededBy}: ${error.message}`, { hints: error.hints, cause: error });
  }
}

async function readRecipe(project: Project, location: TargetLocation): Promise<Recipe> {
  const module = await project.load(location);
  if ((module.kind === 'platform-recipe') !== (location.platform !== undefined)) {
    throw new VmbuildError(
      'RECIPE_NOT_FOUND',
      module.kind === 'recipe'
        ? `${location.file} is the same for all platforms; its target has no platform in its name`
        : `${location.file} is a function of a platform; its targets are called ${location.target}-<platform>`,
    );
  }
  const recipe = module.kind === 'recipe' ? module.recipe : await callRecipe(module.recipe, project, location);
  const issue = firstIssue(recipeSchema, recipe);
  if (issue !== undefined) throw new VmbuildError('RECIPE_INVALID', `${location.file}: ${issue}`);
  return recipe;
}

async function callRecipe(
  recipe: (platform: Platform) => Recipe,
  project: Project,
  location: TargetLocation,
): Promise<Recipe> {
  const platform = await project.platform(location.platform?.name ?? '');
  try {
    return recipe(platform);
  } catch (error) {
    throw new VmbuildError(
      'RECIPE_INVALID',
      `${location.file}: it throws for ${platform.name}: ${errorMessage(error)}`,
      {
        cause: error,
      },
    );
  }
}

async function resolve(
  location: TargetLocation,
  recipe: Recipe,
  inputs: Readonly<Record<string, Step>>,
  { images, blobs }: { readonly images: ImageCatalog; readonly blobs: BlobLookup },
): Promise<Step> {
  const sources: Record<string, Source> = {};
  for (const [mount, declared] of Object.entries(recipe.sources ?? {})) {
    if (Object.hasOwn(inputs, mount)) {
      throw new VmbuildError('RECIPE_INVALID', `${location.file}: sources.${mount}: is the name of an input as well`);
    }
    sources[mount] = await resolveSource(declared, {
      mount,
      folder: location.folder,
      field: `${location.file}: sources.${mount}`,
    });
  }
  const taken = await takeOwnBlobs(location, recipe, blobs);
  for (const [mount, source] of Object.entries(taken.sources)) {
    if (Object.hasOwn(inputs, mount) || Object.hasOwn(sources, mount)) {
      throw new VmbuildError(
        'RECIPE_INVALID',
        `${location.file}: takes: ${mount} is the name of an input or source as well`,
      );
    }
    sources[mount] = source;
  }
  const image = await images(recipe.image, `${location.file}: image`, location.root);
  const files = loadRecipeFiles(recipe.files ?? [], {
    folder: location.folder,
    recipes: location.root.recipes,
    platform: location.platform,
    recipeFile: location.file,
  });
  const derivation: Derivation = {
    format: 1,
    name: location.target,
    platform: BUILD_PLATFORM,
    sandbox: SANDBOX_VERSION,
    image: image.digest,
    command: recipe.command,
    env: recipe.env ?? {},
    recipe: files.digest,
    sourceDateEpoch: recipe.sourceDateEpoch ?? DEFAULT_SOURCE_DATE_EPOCH,
    inputs: Object.fromEntries(Object.entries(inputs).map(([mount, step]) => [mount, step.hash])),
    sources: Object.fromEntries(Object.entries(sources).map(([mount, { kind, digest }]) => [mount, { kind, digest }])),
  };
  return {
    target: location.target,
    derivation,
    hash: derivationHash(derivation),
    description: recipe.description,
    recipeFile: location.file,
    files,
    image,
    inputs,
    sources,
    limits: parseLimits(recipe, location.file),
    flashBudget: recipe.flashBudget,
    lacks: recipe.lacks ?? {},
    takes: pick(recipe.takes ?? {}, taken.taken),
    missingBlobs: taken.missing,
    licence: strictest([...taken.licences, ...Object.values(inputs).map(({ licence }) => licence)]),
  };
}

function parseLimits({ limits = {} }: Recipe, file: string): LimitChanges {
  return Object.fromEntries(
    Object.entries(limits).map(([name, text]) => [
      name,
      parseLimit(name as LimitName, text, `${file}: limits`, 'RECIPE_INVALID'),
    ]),
  );
}

async function takeOwnBlobs(location: TargetLocation, recipe: Recipe, blobs: BlobLookup): Promise<TakenBlobs> {
  const { takes } = recipe;
  if (takes === undefined || Object.keys(takes).length === 0) {
    return { sources: {}, licences: [], taken: [], missing: [] };
  }
  const { platform, file, folder } = location;
  if (platform === undefined) {
    throw new VmbuildError('RECIPE_INVALID', `${file}: takes: only the recipe of a platform can take its blobs`);
  }
  return takeBlobs(takes, blobs(platform.name), { platform: platform.name, file, folder });
}

function pick(slots: BlobSlots, names: readonly string[]): BlobSlots {
  return Object.fromEntries(Object.entries(slots).filter(([name]) => names.includes(name)));
}
