import { type FirmwareSection, LZMA_SECTION, readSections, SECTION } from '../../formats/ffsSection.ts';
import { findFirmwareVolumes, type FirmwareVolume, readFirmwareVolume } from '../../formats/firmwareVolume.ts';
import { unpackLzma } from '../../formats/lzma.ts';
import type { Opening } from './opening.ts';
import { openProgram } from './openProgram.ts';
import { openUnpacked } from './openUnpacked.ts';
import { type Opened, Part } from './part.ts';
import { tile } from './tile.ts';

type FirmwareFile = NonNullable<FirmwareVolume['files']>[number];

/** Files and sections begin at multiples of these. */
const FILE_ALIGNMENT = 8;
const SECTION_ALIGNMENT = 4;
/** The standard's own compression (EFI 1.1), which is not unpacked here. */
const NOT_COMPRESSED = 0;

/**
 * The UEFI firmware volumes in `content`.
 *
 * @param placement `moved`: checksums of files need not fit, because coreboot leaves them when it moves the FSP.
 */
export function openVolumes(content: Uint8Array, opening: Opening, placement: 'built' | 'moved' = 'built'): Opened {
  const inner = opening.deeper();
  const volumes = findFirmwareVolumes(content).map(({ offset, size }, index) => {
    const bytes = content.subarray(offset, offset + size);
    return new Part({
      name: `volume ${index + 1}`,
      kind: 'volume',
      offset,
      content: bytes,
      open: () => openVolume(bytes, inner, placement),
    });
  });
  return { parts: tile(content, volumes) };
}

function openVolume(bytes: Uint8Array, opening: Opening, placement: 'built' | 'moved'): Opened {
  const { name, fileSystem, files } = readFirmwareVolume(bytes, 0);
  const facts = { guid: name, fileSystem };
  if (files === undefined) return { facts };
  return {
    facts,
    parts: tile(
      bytes,
      files.map((file) => filePart(bytes, file, opening, placement)),
      FILE_ALIGNMENT,
    ),
  };
}

function filePart(volume: Uint8Array, file: FirmwareFile, opening: Opening, placement: 'built' | 'moved'): Part {
  const { name, typeName, offset, size, content, intact } = file;
  return new Part({
    name: titleOf(file) ?? name,
    kind: 'ffs-file',
    offset,
    header: volume.subarray(offset, offset + size - content.length),
    content,
    facts: { guid: name, type: typeName },
    problems: intact || placement === 'moved' ? [] : ['it is damaged: the checksum of its content is wrong'],
    open: () => (hasSections(file) ? openSections(content, opening) : opening.content(content)),
  });
}

/** Raw files are what they are (PI specification 1.8, volume 3, section 2.1.4.1.1). */
function hasSections({ typeName }: FirmwareFile): boolean {
  return typeName !== 'raw';
}

/** The name that a file has for people. */
function titleOf(file: FirmwareFile): string | undefined {
  if (!hasSections(file)) return undefined;
  try {
    const title = readSections(file.content).find(({ type }) => type === SECTION.userInterface)?.text;
    return title === '' ? undefined : title;
  } catch {
    return undefined; // damaged, which the file's own part tells
  }
}

function openSections(content: Uint8Array, opening: Opening): Opened {
  const sections = readSections(content).map((section) => {
    const { typeName, offset, size, guid, text } = section;
    return new Part({
      name: typeName,
      kind: 'ffs-section',
      offset,
      header: content.subarray(offset, offset + size - section.content.length),
      content: section.content,
      facts: { guid, text },
      open: () => openSection(section, opening.deeper()),
    });
  });
  return { parts: tile(content, sections, SECTION_ALIGNMENT) };
}

function openSection({ type, guid, compression, content }: FirmwareSection, opening: Opening): Opened {
  switch (type) {
    case SECTION.volumeImage:
      return openVolumes(content, opening);
    case SECTION.compression:
      return compression === NOT_COMPRESSED ? openSections(content, opening) : {};
    case SECTION.guidDefined: {
      if (guid !== LZMA_SECTION) return {};
      const unpacked = opening.unpack((limit) => unpackLzma(content, limit));
      return { facts: { compression: 'LZMA' }, ...openUnpacked(unpacked, (inner) => openSections(inner, opening)) };
    }
    case SECTION.pe32:
      return openProgram(content) ?? {};
    case SECTION.raw:
      return opening.content(content);
    default:
      return {};
  }
}
