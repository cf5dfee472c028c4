import { slice } from './binary.ts';
import { compressionName } from './cbfs.ts';

/**
 * A segment of a payload in CBFS (type "simple elf"): coreboot, commonlib/bsd/cbfs_serialized.h, struct
 * cbfs_payload_segment. The table of segments begins the file, and ends with the one that holds the entry point.
 */
export interface PayloadSegment {
  /** `CODE`, `DATA`, `BSS`, `ENTR`; other letters are shown as they are. */
  readonly type: string;
  readonly compression: string;
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  readonly loadAddress: bigint;
  /** The segment as it lies there. */
  readonly content: Buffer;
  /** Bytes in memory. */
  readonly memorySize: number;
}

const ENTRY = 28;

/**
 * The segments of a payload, with the one of the entry point.
 *
 * @throws FormatError if the table has no end, or if a segment lies outside.
 */
export function readPayloadSegments(payload: Uint8Array): readonly PayloadSegment[] {
  const segments: PayloadSegment[] = [];
  for (let at = 0; segments.at(-1)?.type !== 'ENTR'; at += ENTRY) {
    const entry = slice(payload, at, ENTRY, 'the table of segments');
    const type = entry.toString('latin1', 0, 4).replace(/[^\x21-\x7e]+/g, '');
    const hasContent = type !== 'ENTR' && type !== 'BSS';
    const offset = entry.readUInt32BE(8);
    segments.push({
      type,
      compression: compressionName(entry.readUInt32BE(4)),
      offset,
      loadAddress: entry.readBigUInt64BE(12),
      content: hasContent ? slice(payload, offset, entry.readUInt32BE(20), `the segment ${type}`) : Buffer.alloc(0),
      memorySize: entry.readUInt32BE(24),
    });
  }
  return segments;
}
