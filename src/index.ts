/** What recipes import from `vmbuild`. */
export {
  debian,
  definePlatform,
  definePlatformRecipe,
  defineRecipe,
  gomod,
  goToolchain,
  https,
  local,
} from './model/recipe.ts';
export type { BlobSlot, BlobSlots } from './model/blobSlot.ts';
export type {
  FlashBudget,
  Platform,
  PlatformDescription,
  PlatformModule,
  Recipe,
  RecipeFile,
  RecipeModule,
} from './model/recipe.ts';
export type { SourceDeclaration } from './model/sourceDeclaration.ts';
