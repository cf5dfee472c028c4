import { lstatSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { tarHeader, tarPadding, tarTrailer } from '../formats/tarHeader.ts';
import { listTree } from '../io/tree.ts';
import { type Digest, sha256 } from '../model/digest.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { RecipeFile } from '../model/recipe.ts';
import { type PlatformLocation, PLATFORMS } from './project.ts';

/** One file for /recipe, read. */
interface LoadedFile {
  /** Below /recipe. */
  readonly path: string;
  readonly mode: 0o644 | 0o755;
  readonly content: Uint8Array;
}

/** The declared files of a recipe: all that a step sees at /recipe. */
export interface RecipeFiles {
  readonly files: readonly LoadedFile[];
  /** Digest of the canonical tar of the folder that they make. */
  readonly digest: Digest;
}

/**
 * Reads the declared files. Their modes come from their content alone (0755 if it begins with `#!`),
 * because umask, zip files and package managers lose or change them.
 *
 * @param where the recipe's folder; the folder above all recipes, for files that are shared; and the platform, whose
 * files may be in another such folder.
 *
 * Synchronously: a graph of recipes declares hundreds of small files, and handing each of their five system calls to another
 * thread and back costs ten times as much as the call.
 *
 * @throws VmbuildError RECIPE_INVALID that names the field, for a missing, foreign or twice-named file.
 */
export function loadRecipeFiles(
  declared: readonly RecipeFile[],
  where: {
    readonly folder: string;
    readonly recipes: string;
    readonly platform: PlatformLocation | undefined;
    readonly recipeFile: string;
  },
): RecipeFiles {
  if (declared.length === 0) return noFiles();
  const { platform } = where;
  const realPlace = realPlaces();
  const ofPlatform = `${PLATFORMS}/${platform?.name}/`;
  const files: LoadedFile[] = [];
  for (const [index, entry] of declared.entries()) {
    const field = `files.${index}`;
    const shared = typeof entry === 'string' ? undefined : entry.from;
    const recipes =
      platform !== undefined && shared?.startsWith(ofPlatform) === true ? platform.root.recipes : where.recipes;
    const from = typeof entry === 'string' ? join(where.folder, entry) : join(recipes, entry.from);
    const path = typeof entry === 'string' ? entry : entry.to;
    if (
      files.some((file) => file.path === path || file.path.startsWith(`${path}/`) || path.startsWith(`${file.path}/`))
    ) {
      throw invalid(where.recipeFile, field, `/recipe/${path} is declared twice, or as a file and a folder`);
    }
    const content = readDeclared(from, { recipes, recipeFile: where.recipeFile, realPlace }, field);
    const script = content[0] === 0x23 && content[1] === 0x21; // #!
    files.push({ path, mode: script ? 0o755 : 0o644, content });
  }
  return { files, digest: digestOf(files) };
}

let empty: RecipeFiles | undefined;

/** What a recipe has that declares nothing, as most of a large graph do: hashed once. */
function noFiles(): RecipeFiles {
  return (empty ??= { files: [], digest: digestOf([]) });
}

/** Writes the files below `folder`, which must exist and be empty, with canonical modes, whatever the umask is. */
export function writeRecipeFiles({ files }: RecipeFiles, folder: string): void {
  for (const file of files) {
    const path = join(folder, file.path);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, file.content, { mode: file.mode });
  }
  listTree(folder, 'artifact', true);
}

function readDeclared(
  path: string,
  where: { readonly recipes: string; readonly recipeFile: string; readonly realPlace: (path: string) => string },
  field: string,
): Uint8Array {
  try {
    // A link may be used for convenience, but not to reach files outside of the recipes.
    const real = where.realPlace(path);
    if (!real.startsWith(`${where.realPlace(where.recipes)}${sep}`)) {
      throw invalid(where.recipeFile, field, `${path} leads out of the folder of recipes`);
    }
    return readFileSync(real);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') throw invalid(where.recipeFile, field, `${path} does not exist`);
    if (systemErrorCode(error) === 'EISDIR')
      throw invalid(where.recipeFile, field, `${path} is a folder; name its files`);
    if (systemErrorCode(error) === undefined || error instanceof VmbuildError) throw error;
    throw invalid(where.recipeFile, field, `${path} cannot be read: ${errorMessage(error)}`);
  }
}

/** Paths without links. What lies in a folder that was asked for before takes one look, not one for each part of its path. */
function realPlaces(): (path: string) => string {
  const folders = new Map<string, string>();
  return (path) => {
    if (lstatSync(path).isSymbolicLink()) return realpathSync.native(path);
    const folder = dirname(path);
    let real = folders.get(folder);
    if (real === undefined) folders.set(folder, (real = realpathSync.native(folder)));
    return join(real, basename(path));
  };
}

/** The same digest that io/tree.ts computes for the folder once it is written, without writing it. */
function digestOf(files: readonly LoadedFile[]): Digest {
  const folders = new Set<string>(['']);
  for (const { path } of files) {
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) folders.add(parent);
  }
  const entries = [
    ...[...folders].map((path) => ({ path, type: 'directory', mode: 0o755, content: new Uint8Array() }) as const),
    ...files.map((file) => ({ ...file, type: 'file' }) as const),
  ].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));

  // In one piece: hundreds of small updates of a hash cost more than what they hash.
  const pieces = entries.flatMap(({ path, type, mode, content }) => [
    tarHeader({ path, type, mode, size: content.length }),
    content,
    tarPadding(content.length),
  ]);
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return sha256(Buffer.concat([...pieces, tarTrailer(length)]));
}

function invalid(recipeFile: string, field: string, problem: string): VmbuildError {
  return new VmbuildError('RECIPE_INVALID', `${recipeFile}: ${field}: ${problem}`);
}
