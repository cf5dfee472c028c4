import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Base } from './base.ts';
import { TARGET } from './project.ts';
import { artifactOf } from './run.ts';
import type { Random } from './seed.ts';
import { type CallPoint, noting, notedPoints, ONE_FILE_THREAD } from './strace.ts';
import type { World } from './world.ts';

/** How vmbuild is started where strace interferes with it. */
export const TRACEABLE = { env: ONE_FILE_THREAD, withoutScript: true } as const;

/** System calls of an undisturbed run on an empty store. */
export class CallPoints {
  /** On the store itself: far fewer than on scratch folders, and those that matter. */
  readonly #store: readonly CallPoint[];
  readonly #scratch: readonly CallPoint[];

  private constructor(points: readonly CallPoint[], { store }: World) {
    const isScratch = ({ line }: CallPoint): boolean => !line.replaceAll(`${store}/tmp/`, '').includes(store);
    const ours = points.filter(({ line }) => line.includes(store));
    this.#store = ours.filter((point) => !isScratch(point));
    this.#scratch = ours.filter(isScratch);
  }

  /** Notes the calls of these kinds. */
  static async of({ reference, worldOfFile }: Base, calls: readonly string[]): Promise<CallPoints> {
    const world = worldOfFile(`traced-${calls[0]}`);
    const notes = join(world.folder, 'notes');
    mkdirSync(notes);
    const ended = await world.realize({ ...TRACEABLE, prefix: noting(notes, calls) });
    expect(artifactOf(ended, TARGET), ended.stderr).toBe(reference[TARGET]);
    return new CallPoints(notedPoints(notes), world);
  }

  /** Any of them, three times in four one of the store itself; each kind of call is as likely as the others. */
  pick(random: Random): CallPoint {
    const points = random.fraction() < 0.75 ? this.#store : this.#scratch;
    const call = random.pick([...new Set(points.map((point) => point.call))].sort());
    return random.pick(points.filter((point) => point.call === call));
  }
}

/** A line of strace without what differs from run to run. */
export function shortened(line: string, { folder }: World): string {
  return line
    .replaceAll(`${folder}/`, '')
    .replace(/^\d+ +/, '')
    .replace(/\) += .*$/, ')')
    .slice(0, 200);
}
