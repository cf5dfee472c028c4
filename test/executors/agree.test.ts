import { chmodSync, chownSync, lutimesSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DIFFERENCES } from '../../src/executors/differences.ts';
import { createDockerExecutor } from '../../src/executors/docker/dockerExecutor.ts';
import { fixture, REPOSITORY, run, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { Clients, noDocker, SANDBOXES } from './sandbox/sandboxes.ts';

const LOOK = readFileSync(new URL('./sandbox/look.pl', import.meta.url), 'utf8');

/** Where in the report of look.pl an accepted difference shows. */
const SEEN: Readonly<Record<string, RegExp>> = {
  owners: /^owner of /,
  'id-maps': /^([ug]id_map|projid_map|setgroups|setting .*ping_group_range)\t/,
  groups: /^status Groups\t/,
  mounts: /^mount /,
  dev: /^(devices|device \/dev\/(tty|ptmx|pts|mqueue|core)|writable \/dev)\t/,
  'docker-files': /^file \/\.dockerenv\t/,
  'own-proc': /^writable in \/proc\/self\t/,
  settings: /^setting \/proc\/sys\/(fs|kernel|net|vm)\//,
  'namespace-limits': /^setting \/proc\/sys\/user\/max_/,
  'unknown-calls': /^system call (33[7-9]|3[4-9]\d|4[01]\d|42[0-3])\t/,
  'input-times': /^times of inputs\t/,
};

/** Those that no step can see: tests of the executors show them. */
const ELSEWHERE = ['signals', 'sockets', 'u-fffd', 'volumes', 'killed-vmbuild'];

describe.skipIf(noDocker !== undefined)(
  noDocker === undefined ? 'what a step sees' : `what a step sees (skipped: ${noDocker})`,
  () => {
    /** Title of the sandbox → what a step in it told. */
    const reports = new Map<string, ReadonlySet<string>>();
    beforeAll(async () => {
      await using clients = new Clients();
      for (const sandbox of SANDBOXES) {
        const client = await clients.client(sandbox);
        const tree = join(client.folder, 'tree');
        mkdirSync(tree);
        const files = [join(tree, 'a'), join(tree, 'run'), join(client.folder, 'file')];
        for (const path of files) writeFileSync(path, '#!/bin/sh\n');
        for (const path of [...files, tree]) {
          chmodSync(path, path === tree || path === files[1] ? 0o755 : 0o644);
          if (sandbox.nobody) chownSync(path, 65534, 65534);
          lutimesSync(path, 1e9, 1e9);
        }
        const { output, error } = await client.run({
          command: ['perl', '-e', LOOK, 'argument'],
          env: { DECLARED: 'a b', EMPTY: '' },
          inputs: { tree: { kind: 'tree', path: tree }, file: { kind: 'file', path: files[2] as string } },
        });
        if (error !== undefined) throw new Error(error.message);
        reports.set(sandbox.title, new Set(output.trimEnd().split('\n')));
      }
    });

    /** Lines that not all reports have. */
    const differing = (): string[] => {
      const [first, ...others] = [...reports.values()] as [ReadonlySet<string>, ...ReadonlySet<string>[]];
      const missing = (of: ReadonlySet<string>, from: ReadonlySet<string>) => [...of].filter((line) => !from.has(line));
      return [...new Set(others.flatMap((other) => [...missing(first, other), ...missing(other, first)]))];
    };

    it('is much, and the last of it as well', () => {
      for (const report of reports.values()) {
        expect(report.size).toBeGreaterThan(1000);
        expect(report).toContain('system call 39\tdone');
        expect(report).toContain('system call 470\t38');
      }
    });

    it('is the same, whoever runs it in whatever executor, but for the accepted differences', () => {
      const unknown = differing().filter((line) => !Object.values(SEEN).some((pattern) => pattern.test(line)));
      expect(unknown).toEqual([]);
    });

    it('lets no accepted difference stay that is none any more', () => {
      const lines = differing();
      const gone = Object.entries(SEEN).filter(([, pattern]) => !lines.some((line) => pattern.test(line)));
      // A newer daemon answers like ours.
      expect(gone.map(([id]) => id).filter((id) => id !== 'unknown-calls')).toEqual([]);
    });

    it('has no setting of the kernel that could be changed, and no value that differs', () => {
      const values = new Map<string, Set<string>>();
      for (const line of [...reports.values()].flatMap((report) => [...report])) {
        const [, name = '', value = ''] = /^setting (\S+)\t(.*)/.exec(line) ?? [];
        expect(value).not.toContain('writable');
        if (/denied|error/.test(value) || /\/user\/max_|ping_group_range/.test(name)) continue;
        values.set(name, (values.get(name) ?? new Set()).add(value));
      }
      expect([...values].filter(([, found]) => found.size > 1)).toEqual([]);
    });

    afterAll(() => reports.clear());
  },
);

describe('accepted differences', () => {
  it('are each shown by a test', () => {
    expect([...Object.keys(SEEN), ...ELSEWHERE].sort()).toEqual(DIFFERENCES.map(({ id }) => id).sort());
  });

  it('stand in docs/sandbox.md as in the code', () => {
    const text = readFileSync(join(REPOSITORY, 'docs', 'sandbox.md'), 'utf8');
    const rows = DIFFERENCES.map(
      ({ what, namespace, docker, reason }) => `| ${what} | ${namespace} | ${docker} | ${reason} |`,
    );
    expect(text).toContain(['| what | `namespace` | `docker` | why |', '|---|---|---|---|', ...rows].join('\n'));
  });
});

const MAKE_FILES = `
tar cf /out/tree.tar --sort=name --mtime=@0 --owner=0 --group=0 -C /in/tree .
xz -k /out/tree.tar
cp /recipe/script /out/ && cp -r /in/tree /out/copy
`;

describe(noDocker === undefined ? 'namespace and docker' : `namespace and docker (skipped: ${noDocker})`, () => {
  it.skipIf(noDocker !== undefined)('give the same bytes from empty stores', async () => {
    const project = await fixture({
      'tree/recipe.ts': scriptRecipe(
        'mkdir /out/d; echo a > /out/a; echo b > /out/run; chmod 755 /out/run; ln -s a /out/link',
      ),
      'look/recipe.ts': scriptRecipe(MAKE_FILES, { inputs: { tree: 'tree' }, files: ['script'] }),
      'look/script': '#!/bin/sh\n',
    });
    const digests: string[][] = [];
    for (const executor of [undefined, createDockerExecutor(), createDockerExecutor({ inputs: 'volumes' })]) {
      const store = await storeWithImage();
      const { results, executed } = await run(project, ['look'], { store, ...(executor && { executor }) });
      // Executed here, not found: the executor is not in the build key, so anything else would prove nothing.
      expect(executed).toEqual(['tree', 'look']);
      digests.push(results.map(({ artifact }) => artifact));
    }
    expect(digests[1]).toEqual(digests[0]);
    expect(digests[2]).toEqual(digests[0]);
  });
});
