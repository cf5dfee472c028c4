import type { BlobSlot, BlobSlots } from '../model/blobSlot.ts';
import { sha256 } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import type { Platform } from '../model/recipe.ts';
import { FormatError, isFilledWith } from '../formats/binary.ts';
import { splitFsp } from '../formats/fsp.ts';
import { hasFlashDescriptor } from '../formats/ifd.ts';
import { readMicrocode } from '../formats/microcode.ts';
import { type BlobPart, partsOfDump, type Recognised } from './partsOfDump.ts';

/** A file that somebody wants to bind. */
interface BlobFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * Finds out which slots of a platform a file fills, and takes it apart. What is known of a slot must be true of the file.
 *
 * @param slot the only slot to look at, if the user has named one.
 * @throws VmbuildError BLOB_REFUSED that says what is wrong with the file.
 */
export function recogniseBlob(platform: Platform, file: BlobFile, slot?: string): Recognised {
  const slots = chosen(platform, slot);
  try {
    return recognise(platform, slots, file, slot !== undefined);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw refused(`${file.name} cannot be used for ${platform.name}: ${error.message}`, [
      'If it was read from a chip: read it again, twice, and compare.',
    ]);
  }
}

/** A refusal of a file; nothing is bound then. */
export function refused(message: string, hints: readonly string[] = []): VmbuildError {
  return new VmbuildError('BLOB_REFUSED', message, { hints });
}

function chosen(platform: Platform, slot: string | undefined): BlobSlots {
  const all = platform.blobs ?? {};
  if (Object.keys(all).length === 0) throw refused(`${platform.name} takes no vendor blobs`);
  if (slot === undefined) return all;
  const one = Object.hasOwn(all, slot) ? all[slot] : undefined;
  if (one === undefined) {
    throw refused(`${platform.name} has no slot ${JSON.stringify(slot)}`, [`It has ${Object.keys(all).join(', ')}.`]);
  }
  return { [slot]: one };
}

function recognise(platform: Platform, slots: BlobSlots, file: BlobFile, named: boolean): Recognised {
  const { bytes } = file;
  if (bytes.length === 0) throw new FormatError('it is empty');
  if (isFilledWith(bytes, 0xff) || isFilledWith(bytes, 0)) throw new FormatError('every byte of it is the same');
  const digest = sha256(bytes);
  const known = Object.entries(slots).find(([, blob]) => blob.sha256 === digest);
  if (known !== undefined) return only(known[0], split(known[1], file));
  if (hasFlashDescriptor(bytes) || Object.values(slots).every(({ fills }) => 'region' in fills)) {
    return partsOfDump(platform, slots, bytes);
  }
  const fitting = Object.entries(slots).filter(([, blob]) => looksLike(blob, bytes, named));
  const [first] = fitting;
  if (first === undefined || fitting.length > 1) throw unknown(platform, slots, file);
  const [name, blob] = first;
  if (blob.sha256 !== undefined) {
    throw new FormatError(
      `its sha256 is ${digest}, and that of ${name} is ${blob.sha256}` +
        (blob.size === undefined || blob.size === bytes.length ? '' : ` (${bytes.length} bytes, not ${blob.size})`),
    );
  }
  return only(name, split(blob, file));
}

/** True if a file is meant for this slot, sound or not. One that says nothing of its format takes any, but only if it was named. */
function looksLike({ fills }: BlobSlot, bytes: Uint8Array, named: boolean): boolean {
  if ('region' in fills) return false;
  switch (fills.holds) {
    case 'fsp':
      return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 4096)).includes('FSPH', 0, 'latin1');
    case 'microcode':
      // Header version and loader version, whatever else is wrong with it.
      return bytes.length >= 48 && bytes[0] === 1 && bytes[20] === 1 && bytes[1] === 0 && bytes[21] === 0;
    default:
      return named && fills.cbfs.length === 1;
  }
}

function split({ fills }: BlobSlot, { bytes }: BlobFile): readonly BlobPart[] {
  if ('region' in fills)
    throw new FormatError('a region is taken from a dump of the whole chip, not from a file of its own');
  const [first = ''] = fills.cbfs;
  switch (fills.holds) {
    case 'fsp': {
      const components = splitFsp(bytes);
      return fills.cbfs.map((name) => {
        const component = components.find(({ kind }) => name === `fsp${kind.toLowerCase()}.bin`);
        if (component === undefined) throw new FormatError(`it has no component for ${name}`);
        return { name, offset: component.offset, content: component.content };
      });
    }
    case 'microcode': {
      const updates = readMicrocode(bytes);
      const wanted = fills.processors;
      const kept = updates.filter(
        ({ processors }) => wanted === undefined || processors.some(({ name }) => wanted.includes(name)),
      );
      if (kept.length === 0) throw new FormatError(`none of its updates is for one of ${wanted?.join(', ')}`);
      const content = Buffer.concat(kept.map(({ offset, size }) => bytes.subarray(offset, offset + size)));
      return [{ name: first, offset: kept[0]?.offset ?? 0, content }];
    }
    default:
      return [{ name: first, offset: 0, content: bytes }];
  }
}

function only(slot: string, parts: readonly BlobPart[]): Recognised {
  return { slots: { [slot]: parts }, notes: [] };
}

function unknown(platform: Platform, slots: BlobSlots, { name, bytes }: BlobFile): VmbuildError {
  const size =
    bytes.length === platform.flash.size ? ', as large as the flash chip, but without a flash descriptor' : '';
  return refused(`${name} is none of the vendor blobs of ${platform.name} (${bytes.length} bytes${size})`, [
    ...Object.entries(slots).map(([slot, { what, from }]) => `${slot}: ${what}; from ${from.join(', or ')}`),
    'If you know better: --slot <name>.',
  ]);
}
