import { FormatError, isBlank, slice } from '../../formats/binary.ts';
import { type CbfsFile, hashesOf, readCbfs, stageOf } from '../../formats/cbfs.ts';
import { unpackLz4 } from '../../formats/lz4.ts';
import { unpackLzma } from '../../formats/lzma.ts';
import { openFit, openMicrocode } from './openChipset.ts';
import { openFsp } from './openFsp.ts';
import type { Opening } from './opening.ts';
import { openPayload } from './openPayload.ts';
import { openUnpacked } from './openUnpacked.ts';
import { type Facts, type Opened, Part } from './part.ts';
import { tile } from './tile.ts';

const MAGIC = 'LARCHIVE';
/** Files begin at multiples of it. */
const ALIGNMENT = 64;
/** Areas that hold a file system whatever is left of it, in coreboot's default layout and in vboot's. */
const CBFS_AREAS = /^(COREBOOT|FW_MAIN_[A-Z])$/;

/** True if an area of this name with this content is a file system. */
export function isCbfsArea(content: Uint8Array, name: string): boolean {
  if (CBFS_AREAS.test(name)) return true;
  return content.length >= MAGIC.length && slice(content, 0, MAGIC.length, 'the magic').toString('latin1') === MAGIC;
}

/** The files of a CBFS, and its free room. */
export function openCbfs(area: Uint8Array, opening: Opening): Opened {
  const files = readCbfs(area).map((file) => filePart(area, file, opening));
  const parts = tile(area, files, ALIGNMENT);
  // Free room that is known to the file system has a header.
  const lost = parts.filter(({ kind, header }) => (kind === 'rest' || kind === 'free') && header === undefined);
  const bytes = lost.reduce((sum, { size }) => sum + size, 0);
  return {
    parts,
    problems: bytes === 0 ? [] : [`${bytes} bytes belong to no file: something in the file system is damaged`],
  };
}

function filePart(area: Uint8Array, file: CbfsFile, opening: Opening): Part {
  const { offset, headerSize, content } = file;
  const header = area.subarray(offset, offset + headerSize);
  if (file.empty) {
    const name = file.name === '' ? '(empty)' : file.name;
    if (isBlank(content)) return new Part({ name, kind: 'free', offset, header, content });
    const problems = [`it is ${file.typeName}, and something is in it`];
    return new Part({ name, kind: 'rest', offset, header, content, facts: { type: file.typeName }, problems });
  }
  return new Part({
    name: file.name,
    kind: 'cbfs-file',
    offset,
    header,
    content,
    facts: factsOf(file),
    problems: hashesOf(file).flatMap(({ algorithm, valid }) =>
      valid ? [] : [`it is damaged: its ${algorithm} is another than its header says`],
    ),
    open: () => openFile(file, opening),
  });
}

function factsOf(file: CbfsFile): Facts {
  const { typeName, compression, unpackedSize } = file;
  const stage = stageOf(file);
  return {
    type: typeName,
    ...(compression === 'none' ? {} : { compression, unpackedSize }),
    ...(stage && {
      loadAddress: `0x${stage.loadAddress.toString(16)}`,
      entry: `0x${stage.entry.toString(16)}`,
      memorySize: stage.memorySize,
    }),
  };
}

function openFile(file: CbfsFile, opening: Opening): Opened {
  const { compression, content, unpackedSize } = file;
  if (compression === 'none') return openContent(file, content, opening);
  const unpacked = opening.unpack((limit) => unpackAs(compression, content, limit));
  const opened = openUnpacked(unpacked, (inner) => openContent(file, inner, opening));
  if (unpacked.length === unpackedSize) return opened;
  const problem = `it unpacks to ${unpacked.length} bytes, and its header says ${unpackedSize}`;
  return { ...opened, problems: [...(opened.problems ?? []), problem] };
}

/** Unpacks what is compressed in one of CBFS's ways. */
function unpackAs(compression: string, content: Uint8Array, limit: number): Uint8Array {
  switch (compression) {
    case 'LZMA':
      return unpackLzma(content, limit);
    case 'LZ4':
      return unpackLz4(content, limit);
    default:
      throw new FormatError(`it is compressed in a way that is not known: ${compression}`);
  }
}

function openContent(file: CbfsFile, content: Uint8Array, opening: Opening): Opened {
  switch (file.typeName) {
    case 'fsp':
      return openFsp(content, opening);
    case 'microcode':
      return openMicrocode(content);
    case 'intel_fit':
      return openFit(content);
    case 'simple elf':
      return openPayload(content, opening, unpackAs);
    // Machine code as it is loaded; what looks like a format in there is none.
    case 'bootblock':
    case 'stage':
    case 'cbfs header':
      return {};
    default:
      return opening.content(content);
  }
}
