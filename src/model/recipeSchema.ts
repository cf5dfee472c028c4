import * as v from 'valibot';
import { DESCRIPTOR_REGIONS, LICENCE_CLASSES } from './blobSlot.ts';
import { isDigest } from './digest.ts';
import { availableFlash } from './flashBudget.ts';
import { LIMIT_NAMES } from './limits.ts';
import { isMountName, isTargetName } from './names.ts';
import { RESERVED_VARIABLES } from './sandbox.ts';

/** Shape checks of what recipe.ts, platform.ts hold; the types are in recipe.ts. */

const digest = v.pipe(
  v.string(),
  v.check((text) => isDigest(text), 'must be a sha256 digest: 64 lower-case hex characters'),
);
const target = v.pipe(
  v.string(),
  v.check((text) => isTargetName(text), 'must be a target name: lower-case letters, digits and hyphens'),
);
const mount = v.pipe(
  v.string(),
  v.check((text) => isMountName(text), 'must be a mount name: letters, digits and . + _ -'),
);
/** A path inside a folder: relative, and without `..`. */
const inside = v.pipe(
  v.string(),
  v.nonEmpty(),
  v.check(
    (path) => !path.startsWith('/') && !path.split('/').some((part) => part === '..' || part === '.' || part === ''),
    'must be a relative path without "." and ".."',
  ),
);
const bytes = v.pipe(v.number(), v.integer(), v.minValue(0));
const h1 = v.pipe(v.string(), v.regex(/^h1:[A-Za-z0-9+/]{43}=$/, 'must be an h1: hash as in go.sum'));
const variable = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be a variable name'),
  v.check((name) => !RESERVED_VARIABLES.includes(name), 'is set by the sandbox itself'),
);
const text = v.pipe(
  v.string(),
  v.check((value) => !value.includes('\0') && value.isWellFormed(), 'must be text without NUL bytes'),
);

const debian = v.strictObject({
  type: v.literal('debian'),
  path: v.pipe(inside, v.startsWith('pool/', 'must be a path below the archive, pool/…')),
  sha256: digest,
  size: v.optional(bytes),
  snapshot: v.optional(v.pipe(v.string(), v.regex(/^\d{8}T\d{6}Z$/, 'must be YYYYMMDDTHHMMSSZ'))),
});
const source = v.variant('type', [
  debian,
  v.strictObject({
    type: v.literal('https'),
    urls: v.pipe(v.array(v.pipe(v.string(), v.regex(/^https?:\/\//, 'must be a URL'))), v.minLength(1)),
    sha256: v.optional(digest),
    integrity: v.optional(v.string()),
    size: v.optional(bytes),
  }),
  v.strictObject({
    type: v.literal('local'),
    path: inside,
    sha256: v.optional(digest),
    tree: v.optional(digest),
  }),
  v.strictObject({ type: v.literal('gomod'), sum: inside, tree: digest }),
  v.strictObject({
    type: v.literal('gotoolchain'),
    version: v.pipe(v.string(), v.regex(/^go1\.\d+(\.\d+)?$/, 'must be a Go version, for example go1.26.8')),
    h1,
    tree: digest,
  }),
]);

const line = v.pipe(v.string(), v.regex(/^[^\n\t\0]+$/, 'must be one line of text'));
const sizes = v.record(line, bytes);

const processor = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{2}-[0-9a-f]{2}-[0-9a-f]{2}$/, 'must be family-model-stepping, for example 06-9e-0a'),
);

/** Vendor blobs by the names of their slots. */
const blobs = v.record(
  target,
  v.strictObject({
    what: line,
    licence: v.picklist(LICENCE_CLASSES),
    from: v.pipe(v.array(line), v.minLength(1)),
    sha256: v.optional(digest),
    size: v.optional(bytes),
    source: v.optional(debian),
    fills: v.union([
      v.strictObject({
        cbfs: v.pipe(v.array(mount), v.minLength(1)),
        holds: v.optional(v.picklist(['fsp', 'microcode'])),
        processors: v.optional(v.pipe(v.array(processor), v.minLength(1))),
      }),
      v.strictObject({ region: v.picklist(DESCRIPTOR_REGIONS) }),
    ]),
    optional: v.optional(v.boolean()),
  }),
);

/** A recipe's fields. */
export const recipeSchema = v.strictObject({
  description: v.pipe(v.string(), v.nonEmpty()),
  image: target,
  inputs: v.optional(v.record(mount, target)),
  sources: v.optional(v.record(mount, source)),
  files: v.optional(v.array(v.union([inside, v.strictObject({ from: inside, to: inside })]))),
  env: v.optional(v.record(variable, text)),
  command: v.pipe(
    v.array(text),
    v.minLength(1),
    v.check((words) => words[0] !== '' && !words[0]?.includes('='), 'must begin with a program'),
  ),
  sourceDateEpoch: v.optional(bytes),
  limits: v.optional(v.strictObject(v.entriesFromList(LIMIT_NAMES, v.optional(v.string())))),
  flashBudget: v.optional(
    v.strictObject({
      limit: bytes,
      needed: v.optional(bytes),
      flash: v.optional(v.object({ size: bytes, taken: v.optional(sizes) })),
      parts: v.record(line, v.strictObject({ input: target, file: inside, about: v.optional(bytes) })),
    }),
  ),
  lacks: v.optional(blobs),
  takes: v.optional(blobs),
});

/** A platform's fields. */
export const platformSchema = v.strictObject({
  description: v.pipe(v.string(), v.nonEmpty()),
  flash: v.pipe(
    v.strictObject({ size: bytes, taken: v.optional(sizes), budget: bytes }),
    v.check(
      (flash) => flash.budget <= availableFlash(flash),
      'the budget is larger than what is left of the chip when what is taken is subtracted',
    ),
  ),
  kernelCommandLine: text,
  corebootFiles: v.optional(v.array(inside)),
  blobs: v.optional(blobs),
});

/** The first problem as `field.path: message (found …)`, or undefined if `value` fits. */
export function firstIssue(schema: v.GenericSchema, value: unknown): string | undefined {
  const result = v.safeParse(schema, value);
  if (result.success) return undefined;
  const issue = result.issues[0];
  const field = v.getDotPath(issue) ?? '(top level)';
  return `${field}: ${issue.message}`;
}
