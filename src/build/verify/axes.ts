import { VmbuildError } from '../../model/errors.ts';
import type { Variations } from '../../model/variations.ts';
import type { StoredImage } from '../../store/images.ts';
import type { Axis, Change, InputCopies, Machine } from './axis.ts';
import { CONTRACT_AXES } from './contractAxes.ts';
import { HARDENING_AXES } from './hardeningAxes.ts';

/** Every axis, those that decide first. */
export const AXES: readonly Axis[] = [...CONTRACT_AXES, ...HARDENING_AXES];

/**
 * The axes of these names, or all.
 *
 * @throws VmbuildError USAGE for a name that no axis has.
 */
export function axesNamed(names: readonly string[] | undefined): readonly Axis[] {
  if (names === undefined) return AXES;
  const unknown = names.find((name) => !AXES.some((axis) => axis.name === name));
  if (unknown === undefined) return AXES.filter(({ name }) => names.includes(name));
  throw new VmbuildError('USAGE', `there is no axis ${JSON.stringify(unknown)}`, {
    hints: [`There are: ${AXES.map(({ name }) => name).join(', ')}.`],
  });
}

/** Why an axis was not varied. */
export interface NotVaried {
  readonly axis: Axis;
  readonly reason: string;
}

/** In what surroundings a step is built, or the probe runs. */
export interface Surroundings {
  readonly variations: Variations;
  /** VMBUILD_JOBS. */
  readonly cores: number;
  /** Undefined: the step gets what is in the store. */
  readonly copies: InputCopies | undefined;
  /** Undefined: the one in the store. */
  readonly image: StoredImage | undefined;
}

/** Everything that a round changes. */
export interface RoundChange extends Surroundings {
  /** Axes that can be varied here. Whether programs see it, the probe finds out. */
  readonly tried: readonly Axis[];
  readonly notVaried: readonly NotVaried[];
}

/** Varies axes at once. */
export function combine(axes: readonly Axis[], machine: Machine): RoundChange {
  const tried: Axis[] = [];
  const notVaried: NotVaried[] = [];
  let variations: Variations = {};
  let copies: InputCopies | undefined;
  let image: StoredImage | undefined;
  let { cores } = machine;
  for (const axis of axes) {
    const change = axis.vary(machine);
    if ('impossible' in change) {
      notVaried.push({ axis, reason: change.impossible });
      continue;
    }
    tried.push(axis);
    variations = merge(variations, (change as Change).variations ?? {});
    if (change.copies !== undefined) copies = { ...copies, ...change.copies };
    image = change.image ?? image;
    cores = change.cores ?? cores;
  }
  return { variations, cores, copies, image, tried, notVaried };
}

function merge(a: Variations, b: Variations): Variations {
  return {
    ...a,
    ...b,
    ...(a.personality !== undefined && b.personality !== undefined && { personality: a.personality | b.personality }),
    ...((a.environment ?? b.environment) !== undefined && { environment: { ...a.environment, ...b.environment } }),
    ...((a.files ?? b.files) !== undefined && { files: { ...a.files, ...b.files } }),
    ...((a.rlimits ?? b.rlimits) !== undefined && { rlimits: { ...a.rlimits, ...b.rlimits } }),
  };
}
