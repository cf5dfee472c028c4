import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { tarHeader, tarPadding, tarTrailer } from '../formats/tarHeader.ts';
import { listTree } from '../io/tree.ts';
import { type Digest, sha256Stream } from '../model/digest.ts';
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
 * @throws VmbuildError RECIPE_INVALID that names the field, for a missing, foreign or twice-named file.
 */
export async function loadRecipeFiles(
  declared: readonly RecipeFile[],
  where: {
    readonly folder: string;
    readonly recipes: string;
    readonly platform: PlatformLocation | undefined;
    readonly recipeFile: string;
  },
): Promise<RecipeFiles> {
  const { platform } = where;
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
    const content = await readDeclared(from, { recipes, recipeFile: where.recipeFile }, field);
    const script = content[0] === 0x23 && content[1] === 0x21; // #!
    files.push({ path, mode: script ? 0o755 : 0o644, content });
  }
  return { files, digest: digestOf(files) };
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

async function readDeclared(
  path: string,
  where: { readonly recipes: string; readonly recipeFile: string },
  field: string,
): Promise<Uint8Array> {
  try {
    // A link may be used for convenience, but not to reach files outside of the recipes.
    const real = await realpath(path);
    if (!real.startsWith(`${await realpath(where.recipes)}${sep}`)) {
      throw invalid(where.recipeFile, field, `${path} leads out of the folder of recipes`);
    }
    return await readFile(real);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') throw invalid(where.recipeFile, field, `${path} does not exist`);
    if (systemErrorCode(error) === 'EISDIR')
      throw invalid(where.recipeFile, field, `${path} is a folder; name its files`);
    if (systemErrorCode(error) === undefined || error instanceof VmbuildError) throw error;
    throw invalid(where.recipeFile, field, `${path} cannot be read: ${errorMessage(error)}`);
  }
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

  const hash = sha256Stream();
  let length = 0;
  const add = (bytes: Uint8Array): void => {
    hash.update(bytes);
    length += bytes.length;
  };
  for (const { path, type, mode, content } of entries) {
    add(tarHeader({ path, type, mode, size: content.length }));
    add(content);
    add(tarPadding(content.length));
  }
  add(tarTrailer(length));
  return hash.digest();
}

function invalid(recipeFile: string, field: string, problem: string): VmbuildError {
  return new VmbuildError('RECIPE_INVALID', `${recipeFile}: ${field}: ${problem}`);
}
