import { findLinuxBanner, readBzImage } from '../../formats/bzImage.ts';
import { isElf } from '../../formats/elf.ts';
import { findStream } from './findStream.ts';
import type { Opening } from './opening.ts';
import { openProgram } from './openProgram.ts';
import { type Opened, Part } from './part.ts';
import { tile } from './tile.ts';

/** The protected-mode part of a Linux kernel: code that unpacks, and the kernel itself. */
export function openKernel(content: Uint8Array, opening: Opening): Opened {
  const stream = findStream(content, opening, isElf);
  if (stream === undefined) return {};
  const { offset, size, compression, unpacked } = stream;
  const version = findLinuxBanner(unpacked);
  const kernel = new Part({
    name: 'vmlinux',
    kind: 'stream',
    offset,
    content: content.subarray(offset, offset + size),
    facts: { compression, unpackedSize: unpacked.length },
    open: () => ({ ...openProgram(unpacked), unpacked }),
  });
  return { parts: tile(content, [kernel]), facts: { version } };
}

/** A whole bzImage, with the real-mode part that boot loaders read. */
export function openBzImage(content: Uint8Array, opening: Opening): Opened {
  const { protocol, version, setupSize } = readBzImage(content);
  const program = content.subarray(setupSize);
  return {
    facts: { format: 'bzImage', protocol, version },
    parts: [
      new Part({ name: 'setup', kind: 'segment', offset: 0, content: content.subarray(0, setupSize) }),
      new Part({
        name: 'kernel',
        kind: 'segment',
        offset: setupSize,
        content: program,
        open: () => openKernel(program, opening),
      }),
    ],
  };
}
