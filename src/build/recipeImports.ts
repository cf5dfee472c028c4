import { registerHooks } from 'node:module';
import { RECIPE_API } from '../io/program.ts';

let registered = false;

/**
 * Lets recipes anywhere on the machine `import … from 'vmbuild'` and get the running program: a recipe outside
 * of the checkout has no node_modules in which the name could be found.
 */
export function registerRecipeImports(): void {
  if (registered) return;
  registered = true;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'vmbuild' ? { url: RECIPE_API, shortCircuit: true } : next(specifier, context),
  });
}
