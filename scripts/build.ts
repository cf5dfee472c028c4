/**
 * Makes dist/, the program as it is packed: `npm pack` runs this first. A checkout runs from its sources and never
 * looks at dist/.
 *
 * - The program is bundled, because Node loads one file faster than sixty; what only some commands need stays in chunks
 *   of its own. Nothing is minified, so that a stack trace can be read; source maps would double the size.
 * - Recipes are compiled one by one, since Node strips no types below a node_modules.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

const ROOT = resolve(import.meta.dirname, '..');
const DIST = join(ROOT, 'dist');

/** Dependencies that stay packages, because they are large and seldom used; package.json has them as dependencies. */
const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};

/**
 * Node's own modules, fetched when something of them is used first. An import statement loads them at once, and asks every
 * export for its value, among them some that load further modules: a third of the start.
 */
const lazyBuiltins = {
  name: 'lazy builtins',
  resolveId(id: string, importer: string | undefined) {
    // Not for what the bundler itself has put in, which must be there before anything else.
    return id.startsWith('node:') && importer?.startsWith('\0') === false
      ? { id: `\0${id}`, moduleSideEffects: false }
      : undefined;
  },
  load(id: string) {
    if (!id.startsWith('\0node:')) return undefined;
    const name = id.slice(1);
    const fetched = `process.getBuiltinModule(${JSON.stringify(name)})`;
    const builtin: unknown = process.getBuiltinModule(name);
    // What is a function itself (events), or is there anyway and written to (process), stays as it is.
    if (typeof builtin !== 'object' || builtin === null || builtin === process) return `module.exports = ${fetched};`;
    const getters = Object.keys(builtin).map(
      (key) => `get ${JSON.stringify(key)}() { return ${fetched}[${JSON.stringify(key)}]; },`,
    );
    return `module.exports = {\n${getters.join('\n')}\n};`;
  },
};

rmSync(DIST, { recursive: true, force: true });

const entries = ['src/cli/main.ts', 'src/index.ts', ...globSync('src/**/*Worker.ts', { cwd: ROOT })];
await using bundle = await rolldown({
  cwd: ROOT,
  input: Object.fromEntries(entries.map((path) => [basename(path, '.ts'), path])),
  platform: 'node',
  external: Object.keys(dependencies),
  plugins: [lazyBuiltins],
});
const { output } = await bundle.write({
  dir: DIST,
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
  // What `vmbuild realize` needs where everything is there already is one file: Node takes a millisecond for each.
  codeSplitting: { groups: [{ name: 'core', test: /src\/cli\/(program|commands)\/realize\.ts$/ }] },
});

const bundled = output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []));
writeFileSync(join(DIST, 'LICENSES.txt'), licences(bundled));

// What the program reads at run time lies beside it, as in the sources.
for (const path of globSync('src/**/*.{sh,pl}', { cwd: ROOT })) cpSync(join(ROOT, path), join(DIST, basename(path)));
cpSync(join(ROOT, 'docker'), join(DIST, 'docker'), { recursive: true });
cpSync(join(ROOT, 'recipes'), join(DIST, 'recipes'), { recursive: true, filter: (path) => !path.endsWith('.ts') });

// The types first: the recipes are compiled against what others get.
for (const project of ['types', 'recipes']) {
  execFileSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', `scripts/tsconfig.${project}.json`], {
    cwd: ROOT,
    stdio: 'inherit',
  });
}

/** The licences of all packages that became part of the bundle. */
function licences(modules: readonly string[]): string {
  const packages = new Set(
    modules.flatMap((path) => /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []),
  );
  const texts = [...packages].sort().map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, string>;
    const file = globSync('{LICEN[CS]E,licen[cs]e}*', { cwd: folder })[0];
    if (file === undefined) throw new Error(`${name} has no licence file, so it cannot be bundled`);
    return `${name} ${version}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
  });
  return `The files here contain these packages:\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`;
}
