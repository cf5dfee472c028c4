import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import * as v from 'valibot';
import type { ProjectRoot } from '../build/project.ts';
import type { FetchSettings } from '../fetchers/fetcher.ts';
import { dockerCredentials } from './dockerCredentials.ts';
import { IS_CHECKOUT, PROGRAM_FOLDER } from '../io/program.ts';
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

/** Which caches are asked, and who is believed: in the user's configuration and in a project's. */
const sharingSchema = {
  substituters: v.optional(v.array(v.string())),
  /** Name → public key. */
  trustedKeys: v.optional(v.record(v.string(), v.string())),
  need: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100))),
};

const projectSchema = v.strictObject(sharingSchema);

/** What a project says about sharing, in `vmbuild.json` beside its `recipes/`. */
export type ProjectConfig = v.InferOutput<typeof projectSchema>;

const configSchema = v.strictObject({
  ...sharingSchema,
  /** Ids of keys that are not believed whatever a project says. */
  revokedKeys: v.optional(v.array(v.string())),
  /** Origin of a server → what it is shown. */
  credentials: v.optional(
    v.record(
      v.string(),
      v.strictObject({
        token: v.optional(v.string()),
        username: v.optional(v.string()),
        password: v.optional(v.string()),
      }),
    ),
  ),
  store: v.optional(v.string()),
  sourceDirs: v.optional(v.array(v.string())),
  sourceMirrors: v.optional(v.array(v.string())),
  debianMirrors: v.optional(v.array(v.string())),
  goProxy: v.optional(v.string()),
  plainRegistries: v.optional(v.array(v.string())),
});

/** The user's configuration file. */
export type UserConfig = v.InferOutput<typeof configSchema>;

/** The user's folder for files of one kind (XDG Base Directory Specification), and vmbuild's in it. */
function userFolder(variable: 'XDG_CONFIG_HOME' | 'XDG_DATA_HOME', standard: string): string {
  const folder = process.env[variable];
  // The specification has empty and relative ones ignored: what a working directory holds is not the user's word.
  return join(folder !== undefined && isAbsolute(folder) ? folder : join(homedir(), standard), 'vmbuild');
}

/** Folder of the user's signing keys. */
export function keyFolder(): string {
  return join(userFolder('XDG_CONFIG_HOME', '.config'), 'keys');
}

/** Where the user's configuration is read from. */
export function configPath(): string {
  return join(userFolder('XDG_CONFIG_HOME', '.config'), 'config.json');
}

/** The store's folder: --store, VMBUILD_STORE, the configuration, or the default. */
export async function storeFolder(options: GlobalOptions): Promise<string> {
  const environment = process.env['VMBUILD_STORE'];
  return resolve(options.store ?? (environment || (await readConfig()).store || defaultStore()));
}

/**
 * `cache/` of a checkout. An installed package may belong to root, and is replaced as a whole when it is updated; its store is the
 * user's. It lies with the data and not with the caches, which people and programs empty without a thought.
 */
function defaultStore(): string {
  return IS_CHECKOUT ? join(PROGRAM_FOLDER, 'cache') : join(userFolder('XDG_DATA_HOME', '.local/share'), 'store');
}

/** The program's own recipes, and those given with --recipes. */
export function projectRoots(options: GlobalOptions): readonly ProjectRoot[] {
  const root = (recipes: string): ProjectRoot => ({ recipes, images: join(recipes, '..', 'docker') });
  return [
    ...options.recipes.map((folder) => root(namedFolder('--recipes', folder))),
    root(join(PROGRAM_FOLDER, 'recipes')),
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
    plainRegistries: config.plainRegistries ?? [],
    registryCredentials: dockerCredentials,
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

/** The user's configuration; empty if there is none. */
export function readConfig(): Promise<UserConfig> {
  return readJson(configPath(), configSchema);
}

/** What the projects of these recipes say, those given first on the command line first. */
export function readProjectConfigs(options: GlobalOptions): Promise<readonly ProjectConfig[]> {
  return Promise.all(
    projectRoots(options).map(({ recipes }) => readJson(join(recipes, '..', 'vmbuild.json'), projectSchema)),
  );
}

async function readJson<S extends typeof configSchema | typeof projectSchema>(
  path: string,
  schema: S,
): Promise<v.InferOutput<S>> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return {};
    throw new VmbuildError('USAGE', `${path} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
  const issue = firstIssue(schema, value);
  if (issue !== undefined) throw new VmbuildError('USAGE', `${path}: ${issue}`);
  return value as v.InferOutput<S>;
}
