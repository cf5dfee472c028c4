import type { FlashUse } from '../../firmware/flashUse.ts';
import { type PlacedPart, placedParts, placedRoot } from '../../firmware/parts/places.ts';
import type { Part } from '../../firmware/parts/part.ts';
import type { Producer } from '../../firmware/producers.ts';
import type { Digest } from '../../model/digest.ts';

/** What `vmbuild inspect --json` prints; docs/inspect.md describes it. */
export interface InspectDocument {
  readonly path: string;
  readonly target: string | undefined;
  readonly artifact: Digest | undefined;
  readonly platform: string | undefined;
  readonly sha256: Digest;
  readonly masked: Digest | undefined;
  readonly use: FlashUse | undefined;
}

/** The document as text. */
export function renderJson(document: InspectDocument, root: Part, producers: ReadonlyMap<Part, Producer>): string {
  return `${JSON.stringify({ format: 1, ...document, root: partJson(placedRoot(root), producers) }, null, 1)}\n`;
}

function partJson(placed: PlacedPart, producers: ReadonlyMap<Part, Producer>): object {
  const { part, place } = placed;
  const { name, kind, offset, size, header, content, digest, unpacked, facts, problems } = part;
  return {
    name,
    kind,
    offset,
    place,
    size,
    headerSize: header?.length ?? 0,
    contentSize: content.length,
    unpackedSize: unpacked?.length,
    sha256: digest,
    facts,
    problems,
    from: producers.get(part),
    parts: placedParts(placed).map((inner) => partJson(inner, producers)),
  };
}
