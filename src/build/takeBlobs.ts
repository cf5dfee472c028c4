import { type BlobSlot, type BlobSlots, type LicenceClass } from '../model/blobSlot.ts';
import { VmbuildError } from '../model/errors.ts';
import type { Source } from '../model/source.ts';
import type { Bindings } from '../store/blobs.ts';
import { resolveSource } from './resolveSource.ts';

/** Looks up which blobs are bound to the slots of a platform on this machine. */
export type BlobLookup = (platform: string) => Bindings;

/** A slot that a target takes and nobody has filled. */
export interface MissingBlob {
  readonly platform: string;
  readonly slot: string;
  readonly blob: BlobSlot;
  /** Why what is bound does not do, if something is. */
  readonly problem?: string | undefined;
}

/** What the slots of a recipe come to on this machine. */
export interface TakenBlobs {
  /** Mount name → blob, or Debian's package with it. */
  readonly sources: Readonly<Record<string, Source>>;
  /** Classes of what is taken. */
  readonly licences: readonly LicenceClass[];
  /** Names of the slots that are filled. */
  readonly taken: readonly string[];
  readonly missing: readonly MissingBlob[];
}

/** A recipe that takes blobs, as messages speak of it. */
interface Taker {
  readonly platform: string;
  readonly file: string;
  readonly folder: string;
}

/**
 * Fills the slots of a recipe. Files of the flash's file system must all be there; regions belong together: as soon as one
 * is bound, all must be that the machine cannot do without, and from one dump. Without any, the artifact is made without regions.
 */
export async function takeBlobs(slots: BlobSlots, bindings: Bindings, taker: Taker): Promise<TakenBlobs> {
  const sources: Record<string, Source> = {};
  const licences: LicenceClass[] = [];
  const taken: string[] = [];
  const missing: MissingBlob[] = [];
  const regions = regionsOf(slots, bindings);
  for (const [slot, blob] of Object.entries(slots)) {
    const { platform } = taker;
    const lacks = (problem?: string): void => void missing.push({ platform, slot, blob, problem });
    const binding = bindings[slot];
    const fetched = blob.source;
    if (binding !== undefined) {
      const wrong = unfit(blob, binding.file.sha256) ?? ('region' in blob.fills ? regions.problem(slot) : undefined);
      if (wrong !== undefined) {
        lacks(wrong);
        continue;
      }
      for (const [mount, { sha256, size }] of Object.entries(binding.parts)) {
        sources[mount] = { kind: 'file', digest: sha256, size, name: mount, locations: [], blob: { platform, slot } };
      }
    } else if (fetched !== undefined) {
      const mount = `${slot}.deb`;
      const field = `${taker.file}: takes.${slot}.source`;
      sources[mount] = await resolveSource(fetched, { mount, folder: taker.folder, field });
    } else {
      const wanted = 'region' in blob.fills ? regions.wanted : true;
      if (wanted && blob.optional !== true) lacks();
      continue;
    }
    taken.push(slot);
    licences.push(blob.licence);
  }
  return { sources, licences, taken, missing };
}

function unfit({ sha256 }: BlobSlot, bound: string): string | undefined {
  return sha256 === undefined || sha256 === bound
    ? undefined
    : `a file is bound whose sha256 is ${bound}, not ${sha256}`;
}

function regionsOf(
  slots: BlobSlots,
  bindings: Bindings,
): { readonly wanted: boolean; readonly problem: (slot: string) => string | undefined } {
  const bound = Object.keys(slots).filter((slot) => 'region' in (slots[slot] as BlobSlot).fills && bindings[slot]);
  const first = bound[0];
  return {
    wanted: first !== undefined,
    problem: (slot) =>
      bindings[slot]?.file.sha256 === bindings[first ?? slot]?.file.sha256
        ? undefined
        : `it is bound from another dump than ${first}; add the dump of this machine again`,
  };
}

/**
 * The refusal of a target that lacks blobs: what, why, and how to supply each.
 *
 * @throws VmbuildError BLOB_MISSING
 */
export function refuseMissing(target: string, missing: readonly MissingBlob[]): never {
  const entries = missing.map(({ platform, slot, blob, problem }) =>
    [
      `  ${slot} (${blob.licence}): ${blob.what}`,
      ...(problem === undefined ? [] : [problem]),
      ...blob.from.map((from) => `from ${from}`),
      ...(blob.sha256 === undefined ? [] : [`sha256 ${blob.sha256}`]),
      `supply it: ${supplyCommand(platform, blob)}`,
    ].join('\n    '),
  );
  throw new VmbuildError(
    'BLOB_MISSING',
    `${target} needs vendor blobs that nobody has supplied on this machine:\n${entries.join('\n')}`,
    { step: target, hints: [...new Set(missing.map(({ platform, blob }) => supplyCommand(platform, blob)))] },
  );
}

/** The command that fills a slot, with the file's usual name. */
export function supplyCommand(platform: string, blob: BlobSlot): string {
  const file =
    'region' in blob.fills ? 'dump.bin' : blob.fills.holds === 'fsp' ? 'Fsp.fd' : (blob.fills.cbfs[0] ?? 'file');
  return `vmbuild blob add ${platform} ${file}`;
}
