import { FormatError } from '../../formats/binary.ts';
import { type Digest, sha256 } from '../../model/digest.ts';

/**
 * What a part of a firmware image is. `free`: every byte is the same and nothing is stored there; `rest`: bytes that
 * nothing names. `stream`: compressed data inside something else. The others are called as their formats call them.
 */
export type PartKind =
  | 'image'
  | 'region'
  | 'area'
  | 'free'
  | 'rest'
  | 'cbfs-file'
  | 'segment'
  | 'stream'
  | 'cpio-entry'
  | 'volume'
  | 'ffs-file'
  | 'ffs-section'
  | 'fsp-component'
  | 'microcode-update'
  | 'fit-entry'
  | 'program-section';

/** What is known of a part besides its content: `{ type: 'stage', loadAddress: '0xff610360' }`. Addresses are text. */
export type Facts = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/** What shows when a part is looked into. */
export interface Opened {
  /** What it consists of, in the order of their places. */
  readonly parts?: readonly Part[];
  /** What the content unpacks to, if it is packed; the places of the parts are in there then. */
  readonly unpacked?: Uint8Array;
  readonly facts?: Facts;
  readonly problems?: readonly string[];
}

/** How a part is made. */
export interface PartFields {
  readonly name: string;
  readonly kind: PartKind;
  readonly offset: number;
  readonly header?: Uint8Array;
  readonly content: Uint8Array;
  readonly facts?: Facts;
  readonly problems?: readonly string[];
  /** Looks into it; what it throws as a FormatError becomes a problem of the part. */
  readonly open?: () => Opened;
}

/**
 * A part of a firmware image, and what it consists of. It is looked into when somebody asks for that, once; what is damaged is a
 * problem of the part, and never an exception.
 */
export class Part {
  /** Different from those of its siblings. */
  readonly name: string;
  readonly kind: PartKind;
  /** Bytes from the beginning of what holds it: the holder's content, or what that unpacks to. */
  readonly offset: number;
  /** Bytes that it takes there, with its header. */
  readonly size: number;
  /** What stands before its content, if its format has that. */
  readonly header: Uint8Array | undefined;
  /** The bytes as they lie there, without the header. */
  readonly content: Uint8Array;
  /** What its header says; two parts that differ in it are not the same. */
  readonly ownFacts: Facts;
  readonly #ownProblems: readonly string[];
  readonly #open: (() => Opened) | undefined;
  #opened: Opened | undefined;
  #digest: Digest | undefined;

  constructor({ name, kind, offset, header, content, facts = {}, problems = [], open }: PartFields) {
    this.name = name;
    this.kind = kind;
    this.offset = offset;
    this.size = (header?.length ?? 0) + content.length;
    this.header = header;
    this.content = content;
    this.ownFacts = facts;
    this.#ownProblems = problems;
    this.#open = open;
  }

  /** SHA-256 of the content. */
  get digest(): Digest {
    return (this.#digest ??= sha256(this.content));
  }

  get parts(): readonly Part[] {
    return this.#look().parts ?? [];
  }

  /** What the content unpacks to; undefined if it is not packed, or damaged. */
  get unpacked(): Uint8Array | undefined {
    return this.#look().unpacked;
  }

  /** What its header says and what its content shows. */
  get facts(): Facts {
    return { ...this.ownFacts, ...this.#look().facts };
  }

  get problems(): readonly string[] {
    return [...this.#ownProblems, ...(this.#look().problems ?? [])];
  }

  /** The same part under another name. */
  renamed(name: string): Part {
    const { kind, offset, header, content, ownFacts } = this;
    return new Part({
      name,
      kind,
      offset,
      content,
      facts: ownFacts,
      problems: this.#ownProblems,
      ...(header && { header }),
      open: () => this.#look(),
    });
  }

  #look(): Opened {
    return (this.#opened ??= this.#open === undefined ? {} : opened(this.#open));
  }
}

/** What `open` gives; a FormatError that it throws is told as a problem. */
function opened(open: () => Opened): Opened {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { problems: [error.message] };
  }
}

/** A part and all that are in it, the outer ones first, with the names on the way to each. */
export function* walk(root: Part, path: readonly string[] = []): Generator<{ part: Part; path: readonly string[] }> {
  const here = [...path, root.name];
  yield { part: root, path: here };
  for (const part of root.parts) yield* walk(part, here);
}

/** True for the whole image and the places in flash that have names, in which files lie. */
export function isFlash({ kind }: Part): boolean {
  return kind === 'image' || kind === 'region' || kind === 'area';
}
