import { FormatError, hex, slice } from '../../formats/binary.ts';
import { readFit } from '../../formats/fit.ts';
import { openContent } from './openContent.ts';
import { type Division, Opening } from './opening.ts';
import { type Facts, type Opened, Part } from './part.ts';

/**
 * A firmware image as a tree of its parts: regions and areas of the flash, files, payload, the initramfs' files, UEFI
 * volumes; also any of these on its own. Nothing is unpacked before it is asked for.
 *
 * @param name what the image is called: a file's name.
 * @param division `map`: regions of a flash descriptor are left out if there is a flash map, so that an image with a descriptor has
 * the same tree as one without.
 */
export function readRom(image: Uint8Array, name: string, division: Division = 'descriptor-and-map'): Part {
  const opening = new Opening(openContent, division);
  return new Part({ name, kind: 'image', offset: 0, content: image, open: () => openImage(image, opening) });
}

function openImage(image: Uint8Array, opening: Opening): Opened {
  const opened = opening.content(image);
  const fit = findFit(image);
  return {
    ...opened,
    facts: { ...opened.facts, ...fit.facts },
    problems: [...(opened.problems ?? []), ...fit.problems],
  };
}

/** What the end of the flash says of the table by which the processor finds microcode; many images have none. */
function findFit(image: Uint8Array): { readonly facts: Facts; readonly problems: readonly string[] } {
  const hasTable = slice(image, 0, image.length, 'the image').includes('_FIT_   ', 0, 'latin1');
  if (!hasTable) return { facts: {}, problems: [] };
  try {
    const fit = readFit(image);
    return { facts: fit === undefined ? {} : { fitAt: hex(fit.offset), fitEntries: fit.entries.length }, problems: [] };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { facts: {}, problems: [error.message] };
  }
}
