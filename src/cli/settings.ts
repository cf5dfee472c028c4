import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import type { ProjectRoot } from '../build/project.ts';
import type { FetchSettings } from '../fetchers/fetcher.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import { firstIssue } from '../model/recipeSchema.ts';

/** Options that every command has. */
export interface GlobalOptions {
  readonly store?: string;
  readonly recipes: readonly string[];
}

/** Options of commands that may fetch. */
export interface FetchOptions {
  readonly sourceDir?: readonly string[];
  readonly offline?: boolean;
}

const configSchema = v.strictObject({
  store: v.optional(v.string()),
  sourceDirs: v.optional(v.array(v.string())),
  sourceMirrors: v.optional(v.array(v.string())),
  debianMirrors: v.optional(v.array(v.string())),
  goProxy: v.optional(v.string()),
});

/** The user's configuration file. */
type UserConfig = v.InferOutput<typeof configSchema>;

/** The folder of the program: a checkout, or the installed package. */
const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Where the user's configuration is read from: `$XDG_CONFIG_HOME/vmbuild/config.json`. */
function configPath(): string {
  const folder = process.env['XDG_CONFIG_HOME'];
  // The specification has empty and relative ones ignored: what a working directory holds is not the user's word.
  const base = folder !== undefined && isAbsolute(folder) ? folder : join(homedir(), '.config');
  return join(base, 'vmbuild', 'config.json');
}

/** The store's folder: --store, VMBUILD_STORE, the configuration, or `cache/` of the checkout. */
export async function storeFolder(options: GlobalOptions): Promise<string> {
  const environment = process.env['VMBUILD_STORE'];
  return resolve(options.store ?? (environment || (await readConfig()).store || join(PACKAGE_ROOT, 'cache')));
}

/** The program's own recipes, and those given with --recipes. */
export function projectRoots(options: GlobalOptions): readonly ProjectRoot[] {
  const root = (recipes: string): ProjectRoot => ({ recipes, images: join(recipes, '..', 'docker') });
  return [
    ...options.recipes.map((folder) => root(namedFolder('--recipes', folder))),
    root(join(PACKAGE_ROOT, 'recipes')),
  ];
}

/** Where sources are looked for, from options, environment and configuration. */
export async function fetchSettings(options: FetchOptions): Promise<FetchSettings> {
  const config = await readConfig();
  return {
    sourceDirs: [
      ...(options.sourceDir ?? []).map((folder) => namedFolder('--source-dir', folder)),
      ...(config.sourceDirs ?? []).map((folder) => resolve(folder)),
    ],
    sourceMirrors: config.sourceMirrors ?? [],
    debianMirrors: config.debianMirrors ?? [],
    goProxy: config.goProxy,
    offline: options.offline ?? false,
  };
}

/** A folder of the command line; a misspelt one must not pass for an empty one. */
function namedFolder(option: string, folder: string): string {
  const path = resolve(folder);
  let found: boolean;
  try {
    found = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch (error) {
    throw new VmbuildError('USAGE', `${option}: ${errorMessage(error)}`, { cause: error });
  }
  if (!found) throw new VmbuildError('USAGE', `${option}: ${path} is not a folder`);
  return path;
}

async function readConfig(): Promise<UserConfig> {
  const path = configPath();
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return {};
    throw new VmbuildError('USAGE', `${path} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
  const issue = firstIssue(configSchema, value);
  if (issue !== undefined) throw new VmbuildError('USAGE', `${path}: ${issue}`);
  return value as UserConfig;
}
