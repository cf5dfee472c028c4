import { chmodSync, cpSync, existsSync, globSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IS_CHECKOUT, PROGRAM_FOLDER } from '../../io/program.ts';
import { VmbuildError } from '../../model/errors.ts';
import type { ProjectRoot } from '../project.ts';
import { LAUNCHER_PATH, PROGRAM_PATH, PROJECT_FOLDER } from './manifest.ts';

/** What of a checkout is the program; what a project says about trust (vmbuild.json) is for its own people alone. */
const CHECKOUT = 'bin src recipes docker docs package.json package-lock.json LICENSE README.md CHANGELOG.md'.split(' ');

/** What of an installed package is. */
const PACKAGE = 'bin dist docs package.json LICENSE README.md CHANGELOG.md'.split(' ');

/** Of the package with the pinned Node, the rest is headers and manuals. */
const NODE_FILES = ['bin/node', 'package.json', 'LICENSE'];

/** The most roots that the launcher looks for. */
const MOST_ROOTS = 9;

/**
 * Copies the running program into a closure: vmbuild, the packages that it imports with all that these need, the Node that it is
 * pinned to, its recipes and images, and those of other projects, with a script that starts it.
 *
 * @throws VmbuildError INTERNAL if a package that vmbuild imports is not installed.
 */
export function copyProgram(closure: string, roots: readonly ProjectRoot[]): void {
  const program = IS_CHECKOUT ? resolve(PROGRAM_FOLDER) : resolve(PROGRAM_FOLDER, '..');
  // Packages stay where they are to each other, so that Node finds them as it does here.
  const base = IS_CHECKOUT ? program : aboveModules(program);
  const goal = join(closure, PROGRAM_PATH);
  const place = (path: string): string => join(goal, relative(base, path));
  for (const name of IS_CHECKOUT ? CHECKOUT : PACKAGE) copy(join(program, name), join(place(program), name));
  for (const folder of runtimePackages(program, base)) {
    if (basename(folder).startsWith('node-linux-')) {
      for (const name of NODE_FILES) copy(join(folder, name), join(place(folder), name));
    } else copy(folder, place(folder));
  }
  const others = roots.filter(({ recipes }) => resolve(recipes) !== resolve(PROGRAM_FOLDER, 'recipes'));
  if (others.length > MOST_ROOTS) {
    throw new VmbuildError('USAGE', `a closure holds at most ${MOST_ROOTS} folders of recipes besides vmbuild's own`);
  }
  for (const [index, { recipes, images }] of others.entries()) {
    copy(recipes, join(closure, PROJECT_FOLDER, String(index + 1), 'recipes'));
    copy(images, join(closure, PROJECT_FOLDER, String(index + 1), 'docker'));
  }
  copy(fileURLToPath(new URL('launch.sh', import.meta.url)), join(closure, LAUNCHER_PATH));
  chmodSync(join(closure, LAUNCHER_PATH), 0o755);
}

/** Copies what links stand for, too; what nested packages there are is found on its own. */
function copy(from: string, to: string): void {
  if (!existsSync(from)) return;
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, {
    recursive: true,
    dereference: true,
    filter: (path) => path === from || basename(path) !== 'node_modules',
  });
}

/** The folder that holds the `node_modules` in which a package was installed; its own where it was not. */
function aboveModules(program: string): string {
  const parts = program.split('/');
  const index = parts.indexOf('node_modules');
  return index === -1 ? program : parts.slice(0, index).join('/') || '/';
}

/** The folders of all packages that the program imports, directly or through others. */
function runtimePackages(program: string, base: string): readonly string[] {
  const found = new Set<string>();
  const visit = (name: string, from: string, needed: boolean): void => {
    const folder = resolvePackage(name, from, base);
    if (folder === undefined) {
      if (needed) throw new VmbuildError('INTERNAL', `the package ${name} is not installed, so it cannot be exported`);
      return;
    }
    if (found.has(folder)) return;
    found.add(folder);
    const { dependencies, optionalDependencies, peerDependencies } = readPackage(folder);
    // What is optional may be missing from the others, too: npm lists it twice.
    const optional = { ...optionalDependencies, ...peerDependencies };
    for (const other of Object.keys(optional)) visit(other, folder, false);
    for (const other of Object.keys(dependencies ?? {})) if (!(other in optional)) visit(other, folder, true);
  };
  const { dependencies, optionalDependencies } = readPackage(program);
  for (const name of Object.keys(optionalDependencies ?? {})) visit(name, program, false);
  for (const name of IS_CHECKOUT ? importedPackages(program) : Object.keys(dependencies ?? {}))
    visit(name, program, true);
  return [...found].sort();
}

interface PackageJson {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

function readPackage(folder: string): PackageJson {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageJson;
}

/** Looks for a package as Node does, no higher than `base`. Links are not followed: what matters is where it is found. */
function resolvePackage(name: string, from: string, base: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (folder === base || folder === dirname(folder)) return undefined;
  }
}

/** In a checkout, a package that becomes part of the packed program is a development dependency like any tool. */
function importedPackages(program: string): readonly string[] {
  const found = new Set<string>();
  for (const file of globSync('src/**/*.ts', { cwd: program })) {
    const text = readFileSync(join(program, file), 'utf8');
    for (const [, name] of text.matchAll(/^(?:import|export|\}).*\bfrom '((?:@[\w.-]+\/)?[a-z][\w.-]*)';$/gm))
      add(name);
    for (const [, name] of text.matchAll(/\bimport\('((?:@[\w.-]+\/)?[a-z][\w.-]*)'\)/g)) add(name);
  }
  return [...found].sort();

  function add(name: string | undefined): void {
    if (name !== undefined && name !== 'vmbuild') found.add(name);
  }
}
