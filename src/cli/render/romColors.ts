import type { Part } from '../../firmware/parts/part.ts';
import type { Producer } from '../../firmware/producers.ts';

/** What a part's colour stands for: the recipe or the slot that it is from. */
export interface Origin {
  /** `linux-qemu-q35`, `vendor blob fsp`. */
  readonly label: string;
  readonly color: string;
}

/** Fill colours on which black text can be read, far apart from one another for most eyes (Okabe and Ito, lightened). */
const COLORS = ['#9ecae9', '#f5c77e', '#8fd3b6', '#f0b6cf', '#f2e88f', '#d9a07a', '#b9b3e3', '#b8d68a'];
const UNKNOWN: Origin = { label: 'not known', color: '#d8dde3' };

/** The origin of every part: its own, or that of what holds it. */
export function originsOf(root: Part, producers: ReadonlyMap<Part, Producer>): ReadonlyMap<Part, Origin> {
  const known = new Map<string, Origin>();
  const origins = new Map<Part, Origin>();
  const visit = (part: Part, inherited: Origin): void => {
    const producer = producers.get(part);
    const label = producer && ('slot' in producer ? `vendor blob ${producer.slot}` : producer.target);
    let origin = inherited;
    if (label !== undefined) {
      origin = known.get(label) ?? { label, color: COLORS[known.size % COLORS.length] as string };
      known.set(label, origin);
    }
    origins.set(part, origin);
    for (const inner of part.parts) visit(inner, origin);
  };
  visit(root, UNKNOWN);
  return origins;
}
