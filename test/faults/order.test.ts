import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect } from 'vitest';
import type { Realisation } from '../../src/model/realisation.ts';
import { completedCalls } from '../support/strace.ts';
import { useBase } from './harness/base.ts';
import { lacksNamespaces, lacksStrace } from './harness/machine.ts';
import { TARGET } from './harness/project.ts';
import { artifactOf } from './harness/run.ts';
import { family, scenario } from './harness/scenario.ts';
import { World } from './harness/world.ts';

const base = useBase();

/** A flush, or a name that something got, in the order of a run. Paths are those in the store. */
type Action = { readonly flushed: string; readonly all: boolean } | { readonly from: string; readonly to: string };

/** What a trace of fsync, syncfs and rename says of a store. */
function actionsIn(trace: string, store: string): readonly Action[] {
  const inStore = (path: string): string => (path.startsWith(`${store}/`) ? path.slice(store.length + 1) : path);
  return completedCalls(trace).flatMap((line): Action[] => {
    if (/ = -1 /.test(line)) return [];
    const flushed = /\b(fsync|syncfs)\(\d+<([^>]*)>/.exec(line);
    if (flushed !== null) return [{ flushed: inStore(flushed[2] ?? ''), all: flushed[1] === 'syncfs' }];
    const [, from = '', to = ''] = /\brename(?:at2?)?\([^"]*"([^"]*)",[^"]*"([^"]*)"/.exec(line) ?? [];
    return to === '' ? [] : [{ from: inStore(from), to: inStore(to) }];
  });
}

family('the order of flushes', () => {
  scenario('of a whole run leaves no moment at which a power cut harms', lacksNamespaces ?? lacksStrace, async () => {
    const { project, reference } = base();
    const world = await World.create(project);
    const log = join(world.folder, 'trace');
    const calls = '--trace=fsync,syncfs,rename,renameat,renameat2';
    const prefix = [
      'strace',
      '-f',
      '-qq',
      '--decode-fds=path',
      '--signal=none',
      '-s',
      '4096',
      calls,
      `--output=${log}`,
    ];
    const ended = await world.realize({ prefix, withoutScript: true });
    expect(artifactOf(ended, TARGET), ended.stderr).toBe(reference[TARGET]);

    const actions = actionsIn(readFileSync(log, 'utf8'), world.store);
    const renamed = (path: string): number => actions.findIndex((action) => 'to' in action && action.to === path);
    const flushes = (at: number, path: string): boolean => {
      const action = actions[at];
      return action !== undefined && 'flushed' in action && (action.flushed === path || action.all);
    };
    const flushedBefore = (end: number, path: string, begin = 0): boolean =>
      actions.slice(begin, end).some((_, offset) => flushes(begin + offset, path));

    const named = actions.flatMap((action) => ('to' in action ? [action] : []));
    const within = (folder: string) => named.filter(({ to }) => to.startsWith(`${folder}/`));
    expect(within('artifacts').length).toBeGreaterThanOrEqual(6); // five steps and a source
    expect(within('sources').length).toBeGreaterThanOrEqual(3); // two packages and a source
    expect(within('images').filter(({ to }) => !to.endsWith('.json'))).toHaveLength(1);
    expect(within('realisations')).toHaveLength(5);
    expect(within('roots')).toHaveLength(1);

    // Whatever gets a name that is relied on was flushed before, and its folder after that.
    for (const folder of ['artifacts', 'sources', 'images', 'realisations', 'roots']) {
      for (const { from, to } of within(folder)) {
        const at = renamed(to);
        expect(flushedBefore(at, from), `${from} is flushed before it becomes ${to}`).toBe(true);
        expect(flushedBefore(actions.length, folder, at), `${folder}/ is flushed after ${to} is in it`).toBe(true);
      }
    }
    const done = (path: string): number => {
      const at = renamed(path);
      const flushed = actions.findIndex((_, index) => index > at && flushes(index, dirname(path)));
      expect(at, path).toBeGreaterThanOrEqual(0);
      expect(flushed, path).toBeGreaterThan(at);
      return flushed;
    };
    // A record is begun when what it names is on the disk, and a root after the records that it names.
    for (const { from, to } of within('realisations')) {
      const text = readFileSync(join(world.store, to), 'utf8');
      const { subject, predicate } = JSON.parse(text) as Realisation;
      const { document } = predicate.buildDefinition.internalParameters;
      const begun = actions.findIndex((action) => 'flushed' in action && action.flushed === from);
      expect(begun, from).toBeGreaterThanOrEqual(0);
      const names = [
        `artifacts/${subject[0]?.digest.sha256}`,
        `images/${document.image}`,
        ...Object.values(document.inputs).map(({ kind, digest }) =>
          kind === 'tree' ? `artifacts/${digest}` : `sources/${digest}`,
        ),
      ];
      for (const name of names) expect(done(name), `${name} before ${basename(to)}`).toBeLessThan(begun);
    }
    const root = renamed(`roots/last-${TARGET}.json`);
    for (const { to } of within('realisations')) expect(done(to)).toBeLessThan(root);
  });
});
