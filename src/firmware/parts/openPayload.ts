import { type ZeroPage, readZeroPage } from '../../formats/bzImage.ts';
import { type PayloadSegment, readPayloadSegments } from '../../formats/payloadSegment.ts';
import { openKernel } from './openKernel.ts';
import type { Opening } from './opening.ts';
import { openUnpacked } from './openUnpacked.ts';
import { type Facts, type Opened, Part } from './part.ts';
import { tile } from './tile.ts';

type Unpacker = (compression: string, content: Uint8Array, limit: number) => Uint8Array;

/** Bytes of Linux's boot_params (Documentation/arch/x86/zero-page.rst). */
const ZERO_PAGE = 4096;

/** The segments of a payload; those of a Linux payload by what they are. */
export function openPayload(payload: Uint8Array, opening: Opening, unpack: Unpacker): Opened {
  const segments = readPayloadSegments(payload);
  const unpacked = (segment: PayloadSegment): Uint8Array =>
    segment.compression === 'none'
      ? segment.content
      : opening.unpack((limit) => unpack(segment.compression, segment.content, limit));
  const linux = findZeroPage(segments, unpacked);
  const parts = segments
    .filter(({ content }) => content.length > 0)
    .map((segment) => {
      const { type, compression, offset, loadAddress, memorySize, content } = segment;
      const name = roleOf(segment, linux) ?? type.toLowerCase();
      const facts: Facts = { type, loadAddress: `0x${loadAddress.toString(16)}`, memorySize };
      const open = (inner: Uint8Array): Opened => openSegment(name, inner, opening);
      return new Part({
        name,
        kind: 'segment',
        offset,
        content,
        facts: compression === 'none' ? facts : { ...facts, compression },
        open: () => (compression === 'none' ? open(content) : openUnpacked(unpacked(segment), open)),
      });
    });
  const entry = segments.find(({ type }) => type === 'ENTR');
  return {
    parts: tile(payload, parts),
    facts: entry === undefined ? {} : { entry: `0x${entry.loadAddress.toString(16)}` },
  };
}

/** What cbfstool made a payload of, if it was Linux. */
interface Linux {
  readonly page: PayloadSegment;
  readonly fields: ZeroPage;
}

function findZeroPage(
  segments: readonly PayloadSegment[],
  unpacked: (segment: PayloadSegment) => Uint8Array,
): Linux | undefined {
  for (const page of segments) {
    if (page.type !== 'DATA' || page.memorySize !== ZERO_PAGE) continue;
    const fields = readZeroPage(unpacked(page));
    if (fields !== undefined && segments.some((segment) => isAt(segment, fields.kernelAddress)))
      return { page, fields };
  }
  return undefined;
}

function isAt({ loadAddress, content }: PayloadSegment, address: number): boolean {
  return address !== 0 && content.length > 0 && loadAddress === BigInt(address);
}

function roleOf(segment: PayloadSegment, linux: Linux | undefined): string | undefined {
  if (linux === undefined) return undefined;
  const { page, fields } = linux;
  if (segment === page) return 'zero page';
  if (isAt(segment, fields.kernelAddress)) return 'kernel';
  if (isAt(segment, fields.initrdAddress)) return 'initramfs';
  if (isAt(segment, fields.commandLineAddress)) return 'command line';
  return segment.type === 'CODE' ? 'trampoline' : undefined;
}

function openSegment(role: string, content: Uint8Array, opening: Opening): Opened {
  switch (role) {
    case 'kernel':
      return openKernel(content, opening);
    case 'command line':
      return {
        facts: {
          text: Buffer.from(content)
            .toString('latin1')
            .replace(/\0[^]*$/, ''),
        },
      };
    case 'zero page':
    case 'trampoline':
      return {};
    default:
      return opening.content(content);
  }
}
