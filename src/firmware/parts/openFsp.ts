import { FormatError } from '../../formats/binary.ts';
import { type FspComponent, readFspComponent } from '../../formats/fsp.ts';
import type { Opening } from './opening.ts';
import { openVolumes } from './openVolumes.ts';
import { type Facts, type Opened, Part } from './part.ts';
import { tile } from './tile.ts';

/**
 * One component of Intel's FSP, or a whole file of them.
 *
 * @throws FormatError if it begins with none.
 */
export function openFsp(content: Uint8Array, opening: Opening): Opened {
  const components = readComponents(content);
  const [first] = components;
  // coreboot's files hold one component each.
  if (first !== undefined && first.size === content.length) {
    return { ...openVolumes(content, opening, 'moved'), facts: factsOf(first) };
  }
  const parts = components.map(
    (component) =>
      new Part({
        name: `FSP-${component.kind}`,
        kind: 'fsp-component',
        offset: component.offset,
        content: component.content,
        facts: factsOf(component),
        open: () => openVolumes(component.content, opening, 'moved'),
      }),
  );
  return { parts: tile(content, parts) };
}

/** The components at the beginning; what follows the last is no component. */
function readComponents(content: Uint8Array): readonly FspComponent[] {
  const components = [readFspComponent(content, 0)];
  for (let at = components[0]?.size ?? 0; at < content.length;) {
    try {
      const component = readFspComponent(content, at);
      components.push(component);
      at += component.size;
    } catch (error) {
      if (error instanceof FormatError) break;
      throw error;
    }
  }
  return components;
}

function factsOf({ kind, imageId, imageRevision, imageBase, specification }: FspComponent): Facts {
  const base = `0x${imageBase.toString(16)}`;
  return { component: `FSP-${kind}`, image: imageId, revision: imageRevision, base, specification };
}
