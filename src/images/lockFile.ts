import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import * as v from 'valibot';
import { LAYER_COMPRESSION } from '../formats/ociImage.ts';
import { parseOciReference } from '../formats/ociReference.ts';
import { isDigest, type Digest } from '../model/digest.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';

/**
 * Version of the assembler: how packages become an image. It is in every lock, because another version
 * may make another image of the same packages.
 */
export const ASSEMBLER_VERSION = 1;

const name = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9+.-]+$/, 'not a package name'));
const word = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.-]*$/, 'not the name of a suite or component'));
const digest = v.custom<Digest>(isDigest, 'not a sha256 digest (64 lower-case hex characters)');
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const path = (root: string) =>
  v.pipe(
    v.string(),
    v.check(
      (text) =>
        text.startsWith(root) && text.split('/').every((part) => /^[A-Za-z0-9_~+:%][A-Za-z0-9._~+:%-]*$/.test(part)),
      `not a path below ${root === '' ? 'the suite' : root}`,
    ),
  );

const reference = v.pipe(
  v.string(),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    try {
      const { tag, digest: pinned } = parseOciReference(dataset.value);
      if (tag === undefined && pinned === undefined) addIssue({ message: 'needs a tag or @sha256:…' });
    } catch (error) {
      addIssue({ message: errorMessage(error) });
    }
  }),
);

const pulledDescriptionSchema = v.strictObject({ description: v.optional(v.string()), from: reference });

const packagesDescriptionSchema = v.strictObject({
  description: v.optional(v.string()),
  suite: word,
  components: v.pipe(v.array(word), v.minLength(1)),
  packages: v.pipe(v.array(name), v.minLength(1)),
});

const debSchema = v.strictObject({
  name,
  version: v.pipe(v.string(), v.regex(/^[A-Za-z0-9.+:~-]+$/, 'not a Debian version')),
  architecture: v.picklist(['amd64', 'all']),
  path: path('pool/'),
  size,
  sha256: digest,
});

const contentsEntries = {
  suite: word,
  components: v.array(word),
  packages: v.array(name),
  architecture: v.literal('amd64'),
  index: v.strictObject({
    inRelease: v.strictObject({ sha256: digest, date: v.pipe(v.string(), v.isoTimestamp()) }),
    snapshot: v.pipe(v.string(), v.regex(/^\d{8}T\d{6}Z$/, 'not a snapshot time (YYYYMMDDTHHMMSSZ)')),
    packages: v.array(v.strictObject({ component: word, path: path(''), sha256: digest })),
  }),
  debs: v.pipe(
    v.array(debSchema),
    v.minLength(1),
    v.check(
      (debs) => debs.every((deb, i) => i === 0 || (debs[i - 1] as typeof deb).name < deb.name),
      'the packages are not sorted by name, or one appears twice',
    ),
  ),
};

const pulledEntries = {
  from: reference,
  pulled: v.strictObject({
    registry: v.string(),
    repository: v.string(),
    manifest: digest,
    config: digest,
    layers: v.pipe(
      v.array(
        v.strictObject({
          mediaType: v.picklist(Object.keys(LAYER_COMPRESSION)),
          digest,
          size,
          diffId: digest,
        }),
      ),
      v.minLength(1),
    ),
  }),
};

const sealEntries = {
  format: v.literal(1),
  image: v.strictObject({ digest, assembler: v.pipe(v.number(), v.safeInteger(), v.minValue(1)) }),
};
const packagesLockSchema = v.strictObject({ ...sealEntries, ...contentsEntries });
const { suite, components, packages } = contentsEntries;
const sealOfPackagesSchema = v.object({ ...sealEntries, suite, components, packages });
const sealOfPulledSchema = v.object({ ...sealEntries, from: reference });
const pulledLockSchema = v.strictObject({ ...sealEntries, ...pulledEntries });

/** `image.json` of an image that is made of Debian packages: what a person wants in it. */
export type PackagesDescription = Readonly<v.InferOutput<typeof packagesDescriptionSchema>>;

/** `image.json` of an image that others have made: `registry/repository:tag`, or with `@sha256:…`. */
export type PulledDescription = Readonly<v.InferOutput<typeof pulledDescriptionSchema>>;

/** `image.json`. */
export type ImageDescription = PackagesDescription | PulledDescription;

/** One locked package. `path` is below the root of a Debian archive, `size` in bytes, `sha256` of the .deb. */
export type LockedDeb = Readonly<v.InferOutput<typeof debSchema>>;

/** `lock.json`: exactly which packages make an image, from which signed index they came, and the image's digest. */
export type PackagesLock = Readonly<v.InferOutput<typeof packagesLockSchema>>;

/**
 * `lock.json` of an image that others have made: the digests of its manifest, of its config and of its layers as they are
 * in the registry; `diffId` is that of the uncompressed layer.
 */
export type PulledLock = Readonly<v.InferOutput<typeof pulledLockSchema>>;

/** Either kind of lock; only one of them has `pulled`. */
export type ImageLock = PackagesLock | PulledLock;

/** One layer of a pulled image. */
export type PulledLayer = PulledLock['pulled']['layers'][number];

/** What a lock says of its image and of what was wanted in it; what it is made of is not in here. */
export type LockSeal =
  Readonly<v.InferOutput<typeof sealOfPackagesSchema>> | Readonly<v.InferOutput<typeof sealOfPulledSchema>>;

/** A lock before the image was assembled for the first time. */
export type PackagesContents = Omit<PackagesLock, 'format' | 'image'>;
export type PulledContents = Omit<PulledLock, 'format' | 'image'>;
export type ImageContents = PackagesContents | PulledContents;

/** Reads an `image.json`. @throws VmbuildError RECIPE_INVALID that names file and field. */
export async function readImageDescription(file: string): Promise<ImageDescription> {
  const value = await readJson(file, 'RECIPE_INVALID', []);
  if (hasField(value, 'from')) return parse(pulledDescriptionSchema, value, file, 'RECIPE_INVALID', []);
  const description = parse(packagesDescriptionSchema, value, file, 'RECIPE_INVALID', []);
  const twice = description.packages.find((wanted, i) => description.packages.indexOf(wanted) !== i);
  if (twice !== undefined) throw new VmbuildError('RECIPE_INVALID', `${file}: packages: ${twice} appears twice`);
  return description;
}

/** Reads a `lock.json`. @throws VmbuildError IMAGE_NOT_LOCKED that names file and field, also if there is none. */
export async function readImageLock(file: string): Promise<ImageLock> {
  const hints = [lockCommand(file)];
  const value = await readJson(file, 'IMAGE_NOT_LOCKED', hints);
  const schema = hasField(value, 'pulled') ? pulledLockSchema : packagesLockSchema;
  return parse<ImageLock>(schema, value, file, 'IMAGE_NOT_LOCKED', hints);
}

/**
 * Reads what planning needs of a `lock.json`. What the image is made of is checked by whoever makes it: where it is in the
 * store already, its digest says all.
 *
 * @throws VmbuildError IMAGE_NOT_LOCKED that names file and field, also if there is none.
 */
export async function readLockSeal(file: string): Promise<LockSeal> {
  const hints = [lockCommand(file)];
  const value = await readJson(file, 'IMAGE_NOT_LOCKED', hints);
  const schema = hasField(value, 'pulled') ? sealOfPulledSchema : sealOfPackagesSchema;
  return parse<LockSeal>(schema, value, file, 'IMAGE_NOT_LOCKED', hints);
}

/**
 * Checks that a lock was made from this description, by this assembler.
 *
 * @param lockFile for messages: the path of the lock, `…/<image name>/lock.json`.
 * @throws VmbuildError IMAGE_NOT_LOCKED that names the field.
 */
export function checkLockMatches(description: ImageDescription, lock: LockSeal | ImageLock, lockFile: string): void {
  const refuse = (field: string, why: string): never => {
    throw new VmbuildError('IMAGE_NOT_LOCKED', `${lockFile} does not fit its image.json: ${field}: ${why}`, {
      hints: [lockCommand(lockFile)],
    });
  };
  if (lock.image.assembler !== ASSEMBLER_VERSION) {
    refuse(
      'image.assembler',
      `it was made by assembler ${lock.image.assembler}, this vmbuild has ${ASSEMBLER_VERSION}`,
    );
  }
  if ('from' in description || 'from' in lock) {
    const [locked, wanted] = [lock, description].map((one) => ('from' in one ? one.from : 'a set of packages'));
    if (locked !== wanted) refuse('from', `${locked} is locked, ${wanted} is wanted`);
    return;
  }
  if (lock.suite !== description.suite) refuse('suite', `${lock.suite} is locked, ${description.suite} is wanted`);
  for (const field of ['components', 'packages'] as const) {
    const locked = new Set(lock[field]);
    const wanted = new Set(description[field]);
    const added = [...wanted].filter((item) => !locked.has(item));
    const removed = [...locked].filter((item) => !wanted.has(item));
    if (added.length > 0) refuse(field, `${added.join(', ')} is wanted but not locked`);
    if (removed.length > 0) refuse(field, `${removed.join(', ')} is locked but no longer wanted`);
  }
}

/** Checks what an index says of a package. @throws TypeError that names the field. */
export function toLockedDeb(value: unknown): LockedDeb {
  const result = v.safeParse(debSchema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new TypeError(`${v.getDotPath(issue) ?? 'a package'}: ${issue.message}`);
}

/** Completes a lock once the image is assembled. */
export function sealLock<Contents extends ImageContents>(
  contents: Contents,
  imageDigest: Digest,
): Contents & Pick<ImageLock, 'format' | 'image'> {
  return { format: 1, image: { digest: imageDigest, assembler: ASSEMBLER_VERSION }, ...contents };
}

/** The text of a `lock.json`: one line per package, so that a change is one line of a diff. */
export function formatImageLock(lock: ImageLock): string {
  if ('pulled' in lock) return `${JSON.stringify(lock, undefined, 2)}\n`;
  const { debs, ...rest } = lock;
  const head = JSON.stringify(rest, undefined, 2).replace(/\n}$/, '');
  return `${head},\n  "debs": [\n${debs.map((deb) => `    ${JSON.stringify(deb)}`).join(',\n')}\n  ]\n}\n`;
}

function lockCommand(file: string): string {
  return `Run: vmbuild image lock ${basename(dirname(file))}`;
}

function hasField(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name);
}

type Code = 'RECIPE_INVALID' | 'IMAGE_NOT_LOCKED';

async function readJson(file: string, code: Code, hints: readonly string[]): Promise<unknown> {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const why = systemErrorCode(error) === 'ENOENT' ? 'the file does not exist' : errorMessage(error);
    throw new VmbuildError(code, `${file}: ${why}`, { cause: error, hints });
  }
}

function parse<T>(
  schema: v.GenericSchema<unknown, T>,
  value: unknown,
  file: string,
  code: Code,
  hints: readonly string[],
): T {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const field = v.getDotPath(issue) ?? 'the document';
  throw new VmbuildError(code, `${file}: ${field}: ${issue.message}`, { hints });
}
