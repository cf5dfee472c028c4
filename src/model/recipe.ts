/**
 * What people write: recipes, platforms and sources as typed data. The functions here only mark what
 * they are given, so that loading a recipe does no work; build/evaluate.ts checks and resolves it.
 */
import type { BlobSlots } from './blobSlot.ts';
import type { LimitName } from './limits.ts';
import type {
  DebianSource,
  GomodSource,
  GoToolchainSource,
  HttpsSource,
  LocalSource,
  SourceDeclaration,
} from './sourceDeclaration.ts';

/** A file for /recipe: a path relative to the recipe's folder, or one from another folder below recipes/. */
export type RecipeFile = string | { readonly from: string; readonly to: string };

/** What must fit into the flash, for the check at planning time. All sizes are bytes. */
export interface FlashBudget {
  /** What the parts may take together. */
  readonly limit: number;
  /** What there must be room for at least, whatever the parts' sizes are today; with `flash`. */
  readonly needed?: number;
  readonly flash?: Pick<Flash, 'size' | 'taken'>;
  /** What a person calls the part → the file of a target that fills it, and about how large it is before it is built. */
  readonly parts: Readonly<Record<string, { readonly input: string; readonly file: string; readonly about?: number }>>;
}

/** How one artifact is made. */
export interface Recipe {
  readonly description: string;
  /** Folder name below docker/. */
  readonly image: string;
  /** Mount name → target; the artifact appears at /in/<mount name>. */
  readonly inputs?: Readonly<Record<string, string>>;
  /** Mount name → fixed-output source; it appears at /in/<mount name>. */
  readonly sources?: Readonly<Record<string, SourceDeclaration>>;
  /** Files that appear at /recipe; nothing else of the folder does. */
  readonly files?: readonly RecipeFile[];
  readonly env?: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  /** Seconds since 1970; 1980-01-01 unless given. */
  readonly sourceDateEpoch?: number;
  /**
   * What an execution may use up, for example `{ wall: '2h', memory: '4GiB' }`: docs/limits.md. Changing it rebuilds nothing.
   * An executor that cannot keep one of them refuses the step.
   */
  readonly limits?: Readonly<Partial<Record<LimitName, string>>>;
  readonly flashBudget?: FlashBudget;
  /** Vendor blobs without which the artifact does not work on its platform, and that it is made without. */
  readonly lacks?: BlobSlots;
  /**
   * Vendor blobs of the platform that go into the artifact. What is bound to the slots on this machine (`vmbuild blob add`)
   * appears at /in: files of the flash's file system by their names, regions as `<region>.bin`, Debian's package as
   * `<slot>.deb`. Of the regions either all come that the machine cannot do without, or none.
   */
  readonly takes?: BlobSlots;
}

/** A platform's flash chip. All sizes are bytes. */
interface Flash {
  readonly size: number;
  /** What of it cannot be ours, and how much that is: the flash descriptor, the vendor's regions. */
  readonly taken?: Readonly<Record<string, number>>;
  /** What VMBoot may take of the rest. */
  readonly budget: number;
}

/** What is particular to one board. */
export interface PlatformDescription {
  readonly description: string;
  readonly flash: Flash;
  /** Of the outer Linux, the one in flash. */
  readonly kernelCommandLine: string;
  /**
   * Files of the folder that coreboot's build takes besides `coreboot.defconfig`: `flash.fmd` (flash layout), `fsp.json`
   * (binary interface of the FSP), `mainboard/<vendor>/<board>/…` (a board that coreboot itself lacks).
   */
  readonly corebootFiles?: readonly string[];
  /** The vendor blobs that the board needs, by the name of their slot. */
  readonly blobs?: BlobSlots;
}

/** A platform as recipes see it. */
export interface Platform extends PlatformDescription {
  readonly name: string;
  /** Names a file of the platform's folder; it appears at /recipe/platform/<path>. */
  file(path: string): RecipeFile;
}

/** The default export of a recipe.ts or platform.ts, marked with its kind. */
export type RecipeModule =
  | { readonly kind: 'recipe'; readonly recipe: Recipe }
  | { readonly kind: 'platform-recipe'; readonly recipe: (platform: Platform) => Recipe };

export interface PlatformModule {
  readonly kind: 'platform';
  readonly platform: PlatformDescription;
}

/** A recipe that is the same for all platforms. Its target is called like its folder. */
export function defineRecipe(recipe: Recipe): RecipeModule {
  return { kind: 'recipe', recipe };
}

/** A recipe that is a function of a platform. Its targets are called `<folder>-<platform>`. */
export function definePlatformRecipe(recipe: (platform: Platform) => Recipe): RecipeModule {
  return { kind: 'platform-recipe', recipe };
}

/** A board: recipes/platforms/<name>/platform.ts. */
export function definePlatform(platform: PlatformDescription): PlatformModule {
  return { kind: 'platform', platform };
}

/** A file of the Debian archive, through the machine's own mirrors. */
export function debian(source: Omit<DebianSource, 'type'>): DebianSource {
  return { type: 'debian', ...source };
}

/** A file on one or more web servers. */
export function https(source: Omit<HttpsSource, 'type'>): HttpsSource {
  return { type: 'https', ...source };
}

/** A file or tree beside the recipe. */
export function local(source: Omit<LocalSource, 'type'>): LocalSource {
  return { type: 'local', ...source };
}

/** The Go modules of a go.sum, through the machine's GOPROXY. */
export function gomod(source: Omit<GomodSource, 'type'>): GomodSource {
  return { type: 'gomod', ...source };
}

/** A Go toolchain, through the machine's GOPROXY. */
export function goToolchain(source: Omit<GoToolchainSource, 'type'>): GoToolchainSource {
  return { type: 'gotoolchain', ...source };
}
