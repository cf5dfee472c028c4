import { mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { removeTree } from '../../../src/io/files.ts';
import { lacksNamespaces, type Lack } from './machine.ts';
import { type Project, STEPS, writeProject } from './project.ts';
import { say } from './scenario.ts';
import { SEED } from './seed.ts';
import { digestsOf, type Reference } from './verdict.ts';
import { type RealizeOptions, World } from './world.ts';

/** What all scenarios of a test file begin with. */
export interface Base {
  readonly project: Project;
  /** What an undisturbed run gives. */
  readonly reference: Reference;
  /** A store in which everything is realised. Only to be copied. */
  readonly fullStore: string;
  /** An empty world that stays until the end of the file; for measuring. */
  readonly worldOfFile: (name: string) => World;
}

/** With what the base is realised, and why that cannot be done here; then there is none, and no scenario either. */
interface BaseOptions extends Pick<RealizeOptions, 'executor'> {
  readonly lack?: Lack;
}

/** Makes it before the scenarios of this test file; to be asked for only inside of them. */
export function useBase({ executor, lack }: BaseOptions = { lack: lacksNamespaces }): () => Base {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'vmbuild-faults-')));
  let base: Base | undefined;
  beforeAll(async () => {
    say(`VMBUILD_FAULT_SEED=${SEED}`);
    if (lack !== undefined) return;
    const project = await writeProject(folder);
    const worldOfFile = (name: string): World => World.at(join(folder, name), project);
    const world = worldOfFile('reference');
    const ended = await world.realize(executor === undefined ? {} : { executor });
    expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: '' });
    const reference = digestsOf(ended);
    expect(Object.keys(reference).sort()).toEqual([...STEPS].sort());
    base = { project, reference, fullStore: world.store, worldOfFile };
  });
  afterAll(() => removeTree(folder));
  return () => {
    if (base === undefined) throw new Error('the base was not made');
    return base;
  };
}
