import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import * as v from 'valibot';
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

const descriptionSchema = v.strictObject({
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

const lockSchema = v.strictObject({
  format: v.literal(1),
  image: v.strictObject({ digest, assembler: v.pipe(v.number(), v.safeInteger(), v.minValue(1)) }),
  ...contentsEntries,
});

/** `image.json`: what a person wants in an image. */
export type ImageDescription = Readonly<v.InferOutput<typeof descriptionSchema>>;

/** One locked package. `path` is below the root of a Debian archive, `size` in bytes, `sha256` of the .deb. */
export type LockedDeb = Readonly<v.InferOutput<typeof debSchema>>;

/** `lock.json`: exactly which packages make an image, from which signed index they came, and the image's digest. */
export type ImageLock = Readonly<v.InferOutput<typeof lockSchema>>;

/** A lock before the image was assembled for the first time. */
export type ImageContents = Omit<ImageLock, 'format' | 'image'>;

/** Reads an `image.json`. @throws VmbuildError RECIPE_INVALID that names file and field. */
export async function readImageDescription(file: string): Promise<ImageDescription> {
  const description = parse(descriptionSchema, await readJson(file, 'RECIPE_INVALID', []), file, 'RECIPE_INVALID', []);
  const twice = description.packages.find((wanted, i) => description.packages.indexOf(wanted) !== i);
  if (twice !== undefined) throw new VmbuildError('RECIPE_INVALID', `${file}: packages: ${twice} appears twice`);
  return description;
}

/** Reads a `lock.json`. @throws VmbuildError IMAGE_NOT_LOCKED that names file and field, also if there is none. */
export async function readImageLock(file: string): Promise<ImageLock> {
  const hints = [lockCommand(file)];
  return parse(lockSchema, await readJson(file, 'IMAGE_NOT_LOCKED', hints), file, 'IMAGE_NOT_LOCKED', hints);
}

/**
 * Checks that a lock was made from this description, by this assembler.
 *
 * @param lockFile for messages: the path of the lock, `…/<image name>/lock.json`.
 * @throws VmbuildError IMAGE_NOT_LOCKED that names the field.
 */
export function checkLockMatches(description: ImageDescription, lock: ImageLock, lockFile: string): void {
  const refuse = (field: string, why: string): never => {
    throw new VmbuildError('IMAGE_NOT_LOCKED', `${lockFile} does not fit its image.json: ${field}: ${why}`, {
      hints: [lockCommand(lockFile)],
    });
  };
  if (lock.suite !== description.suite) refuse('suite', `${lock.suite} is locked, ${description.suite} is wanted`);
  for (const field of ['components', 'packages'] as const) {
    const locked = new Set(lock[field]);
    const wanted = new Set(description[field]);
    const added = [...wanted].filter((item) => !locked.has(item));
    const removed = [...locked].filter((item) => !wanted.has(item));
    if (added.length > 0) refuse(field, `${added.join(', ')} is wanted but not locked`);
    if (removed.length > 0) refuse(field, `${removed.join(', ')} is locked but no longer wanted`);
  }
  if (lock.image.assembler !== ASSEMBLER_VERSION) {
    refuse(
      'image.assembler',
      `it was made by assembler ${lock.image.assembler}, this vmbuild has ${ASSEMBLER_VERSION}`,
    );
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
export function sealLock(contents: ImageContents, imageDigest: Digest): ImageLock {
  return { format: 1, image: { digest: imageDigest, assembler: ASSEMBLER_VERSION }, ...contents };
}

/** The text of a `lock.json`: one line per package, so that a change is one line of a diff. */
export function formatImageLock(lock: ImageLock): string {
  const { debs, ...rest } = lock;
  const head = JSON.stringify(rest, undefined, 2).replace(/\n}$/, '');
  return `${head},\n  "debs": [\n${debs.map((deb) => `    ${JSON.stringify(deb)}`).join(',\n')}\n  ]\n}\n`;
}

function lockCommand(file: string): string {
  return `Run: vmbuild image lock ${basename(dirname(file))}`;
}

type Code = 'RECIPE_INVALID' | 'IMAGE_NOT_LOCKED';

async function readJson(file: string, code: Code, hints: readonly string[]): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
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
