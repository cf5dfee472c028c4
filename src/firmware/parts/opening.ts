import { FormatError } from '../../formats/binary.ts';
import type { Opened } from './part.ts';

/** Looks into content of a kind that its holder does not tell. */
export type OpenContent = (content: Uint8Array, opening: Opening) => Opened;

/** By what a flash image is divided. */
export type Division = 'descriptor-and-map' | 'map';

/** Everything that one image may unpack to, in bytes: many times what fits into flash, and little enough for any machine. */
const UNPACKED_LIMIT = 1024 ** 3;
/** Of one part. */
const PART_LIMIT = 256 * 1024 ** 2;
/** How deep things may lie in one another. Initramfs, kernel, volumes in volumes: eight at most have been seen. */
const DEEPEST = 32;

/**
 * What the readers of nested things share while one image is looked into. It sees to it that a hostile image ends as a problem of
 * a part, and not with the machine's memory.
 */
export class Opening {
  /** How the flash is divided: by its descriptor and its flash map, or by the map alone if it has one. */
  readonly division: Division;
  readonly #openContent: OpenContent;
  readonly #left: { bytes: number };
  readonly #depth: number;

  constructor(openContent: OpenContent, division: Division, left = { bytes: UNPACKED_LIMIT }, depth = 0) {
    this.division = division;
    this.#openContent = openContent;
    this.#left = left;
    this.#depth = depth;
  }

  /**
   * For what lies one step deeper.
   *
   * @throws FormatError if that is too deep.
   */
  deeper(): Opening {
    if (this.#depth >= DEEPEST) throw new FormatError(`more than ${DEEPEST} things lie in one another here`);
    return new Opening(this.#openContent, this.division, this.#left, this.#depth + 1);
  }

  /** Looks into content of a kind that its holder does not tell. */
  content(bytes: Uint8Array): Opened {
    return this.#openContent(bytes, this.deeper());
  }

  /**
   * Unpacks something, given the most bytes that it may become.
   *
   * @throws FormatError if it is damaged, or if too much would be unpacked for one image.
   */
  unpack(unpacker: (limit: number) => Uint8Array): Uint8Array {
    const left = this.#left.bytes;
    if (left <= 0) throw new FormatError(`all parts together would unpack to more than ${UNPACKED_LIMIT} bytes`);
    const content = unpacker(Math.min(left, PART_LIMIT));
    this.#left.bytes -= content.length;
    return content;
  }
}
