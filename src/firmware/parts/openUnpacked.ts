import { type Opened, Part } from './part.ts';

/** Looks into what something was unpacked to. What is packed twice has a part of its own for the second time. */
export function openUnpacked(unpacked: Uint8Array, open: (content: Uint8Array) => Opened): Opened {
  const inner = open(unpacked);
  if (inner.unpacked === undefined) return { ...inner, unpacked };
  return {
    unpacked,
    parts: [new Part({ name: '(packed)', kind: 'stream', offset: 0, content: unpacked, open: () => inner })],
  };
}
