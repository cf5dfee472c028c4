import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDockerExecutor } from '../../src/executors/docker/dockerExecutor.ts';
import { cannotBuild, fixture, run, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { PROBE_PREFIX } from '../support/probePrefix.ts';

const docker = cannotBuild === undefined ? await createDockerExecutor().probe(PROBE_PREFIX) : undefined;
const why = cannotBuild ?? (docker?.available === false ? docker.reason : undefined);

/** What a step can see of its surroundings, but for what docs/sandbox.md lists as different. */
const LOOK_AROUND = `
exec > /out/report
env | sort | grep -v '^_='
id; umask; pwd; hostname; ulimit -n; ulimit -s; ulimit -c
grep -E '^(CapInh|CapPrm|CapEff|CapAmb|NoNewPrivs)' /proc/self/status
stat -c '%a %F %n' / /build /out /tmp /in /in/* /in/tree/* /recipe /recipe/* /dev/shm /dev/null
ls / | sort
for d in null zero full random urandom fd stdin stdout stderr; do test -e /dev/$d && echo "/dev/$d"; done
cat /in/tree/a /in/tree/link /recipe/*
cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '
cat /etc/hosts /etc/hostname /etc/resolv.conf
for f in / /in /in/tree /recipe /usr; do touch $f/x 2>/dev/null && echo "could write to $f"; done
for f in /build /out /tmp /dev/shm; do touch $f/x && rm $f/x && echo "may write to $f"; done
read -r line < /dev/stdin || echo "standard input is empty"
tar cf /out/tree.tar --sort=name --mtime=@0 --owner=0 --group=0 -C /in/tree .
xz -k /out/tree.tar
`;

describe(why === undefined ? 'namespace and docker' : `namespace and docker (skipped: ${why})`, () => {
  it.skipIf(why !== undefined)(
    'show a step the same surroundings, and give the same bytes from empty stores',
    async () => {
      const project = await fixture({
        'tree/recipe.ts': scriptRecipe(
          'mkdir /out/d; echo a > /out/a; echo b > /out/run; chmod 755 /out/run; ln -s a /out/link',
        ),
        'look/recipe.ts': scriptRecipe(LOOK_AROUND, {
          inputs: { tree: 'tree' },
          files: ['data', 'script'],
          env: { DECLARED: 'a b', EMPTY: '' },
        }),
        'look/data': 'data\n',
        'look/script': '#!/bin/sh\n',
      });
      const reports: string[] = [];
      const digests: string[][] = [];
      for (const executor of [undefined, createDockerExecutor(), createDockerExecutor({ inputs: 'volumes' })]) {
        const store = await storeWithImage();
        const { results, executed } = await run(project, ['look'], { store, ...(executor && { executor }) });
        // Executed here, not found: the executor is not in the build key, so anything else would prove nothing.
        expect(executed).toEqual(['tree', 'look']);
        digests.push(results.map(({ artifact }) => artifact));
        reports.push(await readFile(join(results.at(-1)?.path ?? '', 'report'), 'utf8'));
      }
      expect(reports[1]).toBe(reports[0]);
      expect(reports[2]).toBe(reports[0]);
      expect(digests[1]).toEqual(digests[0]);
      expect(digests[2]).toEqual(digests[0]);
      expect(reports[0]).toContain('DECLARED=a b\n');
      expect(reports[0]).not.toContain('could write');
    },
  );
});
