import { type Dirent, lstatSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import { isTargetName } from '../model/names.ts';
import type { Platform, PlatformModule, RecipeModule } from '../model/recipe.ts';
import { firstIssue, platformSchema } from '../model/recipeSchema.ts';
import { importRecipe, registerRecipeImports } from './recipeImports.ts';

/** A folder that holds `recipes/` and `docker/`: a checkout of vmbuild, or a project of the user's own. */
export interface ProjectRoot {
  readonly recipes: string;
  readonly images: string;
}

/** Where the recipe of a target stands. Nothing has been loaded yet. */
export interface TargetLocation {
  readonly target: string;
  readonly root: ProjectRoot;
  /** The recipe's folder. */
  readonly folder: string;
  readonly file: string;
  /** If the recipe is a function of a platform. */
  readonly platform: PlatformLocation | undefined;
}

/** A platform may stand in another root than the recipes that are made for it. */
export interface PlatformLocation {
  readonly name: string;
  readonly root: ProjectRoot;
}

/** Folder of the platforms below recipes/. */
export const PLATFORMS = 'platforms';

/** The recipes and platforms of all roots; folders are listed once, modules loaded only when wanted. */
export interface Project {
  readonly roots: readonly ProjectRoot[];
  /** Targets that exist by their folders, sorted. Platform recipes appear once per platform. */
  targets(): Promise<readonly string[]>;
  locate(target: string): Promise<TargetLocation>;
  /** Loads the recipe module of a location. */
  load(location: TargetLocation): Promise<RecipeModule>;
  platform(name: string): Promise<Platform>;
}

interface Folders {
  readonly recipes: ReadonlyMap<string, Found>;
  readonly platforms: ReadonlyMap<string, Found>;
}

/** The module of a recipe or platform, and the root that it stands in. */
interface Found {
  readonly root: ProjectRoot;
  readonly file: string;
}

/** Opens the recipe folders of `roots`. */
export function openProject(roots: readonly ProjectRoot[]): Project {
  registerRecipeImports();
  let folders: Folders | undefined;
  const list = (): Folders => (folders ??= listFolders(roots));

  return {
    roots,
    async targets() {
      const { recipes, platforms } = list();
      const names: string[] = [];
      for (const [name, { file }] of recipes) {
        // What cannot be loaded is a target, too: whoever asks for it is told what is wrong with it.
        const module = await loadModule(file).catch(() => undefined);
        if (module?.kind !== 'platform-recipe') names.push(name);
        else for (const platform of platforms.keys()) names.push(`${name}-${platform}`);
      }
      return names.sort();
    },

    async locate(target) {
      const { recipes, platforms } = list();
      const plain = recipes.get(target);
      const matches: TargetLocation[] = plain === undefined ? [] : [location(target, plain, undefined)];
      for (const [platform, { root }] of platforms) {
        const name = target.endsWith(`-${platform}`) ? target.slice(0, -platform.length - 1) : '';
        const recipe = recipes.get(name);
        if (recipe !== undefined) matches.push(location(target, recipe, { name: platform, root }));
      }
      if (matches.length > 1) {
        throw new VmbuildError(
          'RECIPE_DUPLICATE',
          `${target} is claimed twice: ${matches.map((match) => match.file).join(', ')}`,
        );
      }
      if (matches[0] === undefined) throw notFound(target, [...recipes.keys()], [...platforms.keys()], roots);
      return matches[0];
    },

    load: (location) => loadModule(location.file),

    async platform(name) {
      const found = list().platforms.get(name);
      if (found === undefined) throw new VmbuildError('RECIPE_NOT_FOUND', `no platform is called ${name}`);
      const { file } = found;
      const module = (await importDefault(file)) as Partial<PlatformModule> | undefined;
      if (module?.kind !== 'platform') {
        throw new VmbuildError('RECIPE_INVALID', `${file}: default export: must be definePlatform({…})`);
      }
      const issue = firstIssue(platformSchema, module.platform);
      if (issue !== undefined) throw new VmbuildError('RECIPE_INVALID', `${file}: ${issue}`);
      const description = (module as PlatformModule).platform;
      return {
        ...description,
        name,
        file: (path) => ({ from: `${PLATFORMS}/${name}/${path}`, to: `platform/${path}` }),
      };
    },
  };
}

/** Synchronously: a folder takes microseconds, and handing each to another thread and back ten times as long. */
function listFolders(roots: readonly ProjectRoot[]): Folders {
  const recipes = new Map<string, Found>();
  const platforms = new Map<string, Found>();
  for (const root of roots) {
    collect(root, root.recipes, 'recipe', recipes);
    collect(root, join(root.recipes, PLATFORMS), 'platform', platforms);
  }
  return { recipes, platforms };
}

/** Finds the folders with a `<module>.ts`, or with the `<module>.js` that was compiled from one. */
function collect(root: ProjectRoot, folder: string, module: 'recipe' | 'platform', found: Map<string, Found>): void {
  for (const entry of listEntries(folder)) {
    const place = join(folder, entry.name);
    if (!entry.isDirectory() && !(entry.isSymbolicLink() && statSync(place).isDirectory())) continue;
    // To ask for two names costs less than to list the folder.
    const path = [`${place}/${module}.ts`, `${place}/${module}.js`].find(
      (file) => lstatSync(file, { throwIfNoEntry: false }) !== undefined,
    );
    if (path === undefined) continue;
    if (!isTargetName(entry.name)) {
      throw new VmbuildError('RECIPE_INVALID', `${path}: folder name: must be lower-case letters, digits and hyphens`);
    }
    const other = found.get(entry.name);
    if (other !== undefined) {
      throw new VmbuildError(
        'RECIPE_DUPLICATE',
        `${entry.name} is defined in ${other.root.recipes} and in ${root.recipes}`,
      );
    }
    found.set(entry.name, { root, file: path });
  }
}

function listEntries(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function location(target: string, { root, file }: Found, platform: PlatformLocation | undefined): TargetLocation {
  return { target, root, folder: dirname(file), file, platform };
}

async function loadModule(file: string): Promise<RecipeModule> {
  const module = (await importDefault(file)) as Partial<RecipeModule> | undefined;
  const valid =
    (module?.kind === 'recipe' && typeof module.recipe === 'object') ||
    (module?.kind === 'platform-recipe' && typeof module.recipe === 'function');
  if (!valid) {
    throw new VmbuildError(
      'RECIPE_INVALID',
      `${file}: default export: must be defineRecipe({…}) or definePlatformRecipe((platform) => ({…}))`,
    );
  }
  return module as RecipeModule;
}

/** What the modules of this process gave. Node keeps them as well, and takes ten times as long to find them again. */
const imported = new Map<string, unknown>();

async function importDefault(file: string): Promise<unknown> {
  if (imported.has(file)) return imported.get(file);
  try {
    const value = await importRecipe(file);
    imported.set(file, value);
    return value;
  } catch (error) {
    throw new VmbuildError('RECIPE_INVALID', `${file} cannot be loaded: ${errorMessage(error)}`, { cause: error });
  }
}

function notFound(
  target: string,
  recipes: readonly string[],
  platforms: readonly string[],
  roots: readonly ProjectRoot[],
): VmbuildError {
  const where = roots.map((root) => root.recipes).join(', ');
  return new VmbuildError('RECIPE_NOT_FOUND', `no recipe is called ${JSON.stringify(target)} in ${where}`, {
    hints: [
      'vmbuild ls shows all targets.',
      `Recipes: ${recipes.toSorted().join(', ') || 'none'}; platforms: ${platforms.toSorted().join(', ') || 'none'}.`,
    ],
  });
}
