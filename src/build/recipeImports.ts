import { realpathSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { RECIPE_API } from '../io/program.ts';

let registered = false;

/** Addresses of recipes and platforms that are being loaded. */
const own = new Set<string>();

/**
 * Lets recipes anywhere on the machine `import … from 'vmbuild'` and get the running program: a recipe outside
 * of the checkout has no node_modules in which the name could be found.
 */
export function registerRecipeImports(): void {
  if (registered) return;
  registered = true;
  registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier === 'vmbuild') return { url: RECIPE_API, shortCircuit: true };
      if (!own.has(specifier)) return next(specifier, context);
      const format = specifier.endsWith('.ts') ? 'module-typescript' : 'module';
      return { url: specifier, format, shortCircuit: true };
    },
  });
}

/**
 * Loads a recipe or platform and gives its default export. It is an ES module, whatever a package.json above it says; else Node
 * would look for one in every folder further up, and where there is none read the module twice to find out.
 *
 * @param file ends in `.ts` or `.js`.
 */
export async function importRecipe(file: string): Promise<unknown> {
  const { href } = pathToFileURL(realpathSync(file));
  own.add(href);
  return ((await import(href)) as { default?: unknown }).default;
}
