import { fileURLToPath } from 'node:url';

/**
 * Where the running program lies. From a checkout Node runs the TypeScript of `src/`; a package has all modules in a few
 * files in `dist/`, with `recipes/` and `docker/` beside them (scripts/build.ts). Only this module knows the difference, and
 * whoever starts a file beside itself (a worker, a script), which works in both.
 */
const BUNDLED = !import.meta.url.endsWith('.ts');

/** Extension of the program's own modules. */
export const MODULE_EXTENSION = BUNDLED ? '.js' : '.ts';

/** True for a checkout, whose folder belongs to whoever works in it. */
export const IS_CHECKOUT = !BUNDLED;

/** The folder with vmbuild's own `recipes/` and `docker/`. */
export const PROGRAM_FOLDER = fileURLToPath(new URL(BUNDLED ? '.' : '../..', import.meta.url));

/** The module that recipes import as `vmbuild`. */
export const RECIPE_API = new URL(BUNDLED ? 'index.js' : '../index.ts', import.meta.url).href;
