import { slice } from '../../formats/binary.ts';
import { readCpio } from '../../formats/cpio.ts';
import { findFirmwareVolumes } from '../../formats/firmwareVolume.ts';
import { isCbfsArea, openCbfs } from './openCbfs.ts';
import { openMicrocode } from './openChipset.ts';
import { openStream } from './findStream.ts';
import { openFlash } from './openFlash.ts';
import { openFsp } from './openFsp.ts';
import { openBzImage } from './openKernel.ts';
import type { Opening } from './opening.ts';
import { openProgram } from './openProgram.ts';
import { openUnpacked } from './openUnpacked.ts';
import { openVolumes } from './openVolumes.ts';
import { type Opened, Part } from './part.ts';
import { tile } from './tile.ts';

const CPIO_ALIGNMENT = 4;

/**
 * Looks into content of which nothing is known but its bytes. What has its magic at the beginning comes before what may lie
 * anywhere; an ELF file comes last, because CLOUDHV.fd is one by its header, and is firmware volumes.
 */
export function openContent(content: Uint8Array, opening: Opening): Opened {
  if (beginsWith(content, '070701') || beginsWith(content, '070702')) return openCpio(content, opening);
  if (content.length > 0x206 && slice(content, 0x202, 4, 'the magic').toString('latin1') === 'HdrS') {
    return openBzImage(content, opening);
  }
  const stream = openStream(content, opening);
  if (stream !== undefined) {
    const { compression, unpacked, size } = stream;
    const opened = openUnpacked(unpacked, (inner) => opening.content(inner));
    const behind = content.length - size;
    return {
      ...opened,
      facts: { compression, unpackedSize: unpacked.length, ...opened.facts },
      problems: [...(opened.problems ?? []), ...(behind === 0 ? [] : [`${behind} bytes follow the compressed data`])],
    };
  }
  if (looksLikeMicrocode(content)) return openMicrocode(content);
  if (isCbfsArea(content, '')) return openCbfs(content, opening);
  const flash = openFlash(content, opening);
  if (flash !== undefined) return flash;
  const [volume] = findFirmwareVolumes(content);
  if (volume !== undefined) {
    const isFsp = slice(content, 0, Math.min(content.length, 4096), 'the content').includes('FSPH', 0, 'latin1');
    return isFsp && volume.offset === 0 ? openFsp(content, opening) : openVolumes(content, opening);
  }
  return openProgram(content) ?? {};
}

/** The files of an initramfs. An archive may be followed by another that is compressed. */
function openCpio(content: Uint8Array, opening: Opening): Opened {
  const { entries, size } = readCpio(content);
  const parts = entries.map(({ name, mode, type, offset, size: whole, content: inner }) => {
    const facts = { type, mode: `0${(mode & 0o7777).toString(8)}` };
    return new Part({
      name,
      kind: 'cpio-entry',
      offset,
      header: content.subarray(offset, offset + whole - inner.length),
      content: inner,
      facts: type === 'link' ? { ...facts, target: inner.toString('utf8') } : facts,
      open: () => (type === 'file' ? opening.content(inner) : {}),
    });
  });
  const next = content.subarray(size);
  const start = next.findIndex((byte) => byte !== 0);
  if (start === -1) return { parts: tile(content, parts, CPIO_ALIGNMENT), facts: { format: 'cpio' } };
  const more = next.subarray(start);
  const archive = new Part({
    name: '(next archive)',
    kind: 'stream',
    offset: size + start,
    content: more,
    open: () => opening.content(more),
  });
  return { parts: tile(content, [...parts, archive], CPIO_ALIGNMENT), facts: { format: 'cpio' } };
}

function beginsWith(content: Uint8Array, magic: string): boolean {
  return content.length >= magic.length && slice(content, 0, magic.length, 'the magic').toString('latin1') === magic;
}

/** Header version and loader version 1, and a size that is that of the content or less. */
function looksLikeMicrocode(content: Uint8Array): boolean {
  if (content.length < 48) return false;
  const header = slice(content, 0, 48, 'the header');
  return header.readUInt32LE(0) === 1 && header.readUInt32LE(20) === 1 && header.readUInt32LE(32) <= content.length;
}
