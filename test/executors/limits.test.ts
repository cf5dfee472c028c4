import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LimitTable } from '../../src/executors/executor.ts';
import { ownerPrefix } from '../../src/io/owner.ts';
import { LIMIT_NAMES, type LimitName, type Limits } from '../../src/model/limits.ts';
import { processesWith, uniqueMarker, until } from '../support/processes.ts';
import type { Client } from './runner/client.ts';
import { Clients, SANDBOXES } from './sandbox/sandboxes.ts';

/** Each of these would go on for ever, in several processes, one of which wants to outlive the others. */
const FOREVER = `trap "" TERM HUP INT; (trap "" TERM HUP INT; while :; do sleep 1; done) & (sleep 1000) &`;

/** What runs into each limit, and what stays below it. A step that stays below ends by itself. */
const CASES: Readonly<Record<LimitName, { limits: Limits; beyond: string; below: string }>> = {
  wall: { limits: { wall: 1.5 }, beyond: `${FOREVER} while :; do echo x; sleep 0.1; done`, below: 'echo x' },
  silence: {
    limits: { silence: 1.5 },
    beyond: `${FOREVER} echo x; sleep 1000`,
    below: 'for i in 1 2 3 4; do echo x; sleep 0.5; done',
  },
  cpu: {
    limits: { cpu: 1 },
    // In children and grandchildren that end, too.
    beyond: `${FOREVER} while :; do (for i in {1..20000}; do :; done); done`,
    below: 'sleep 1; echo x',
  },
  memory: {
    limits: { memory: 64 * 2 ** 20 },
    beyond: `${FOREVER} x=$(yes | head -c 200000000); sleep 1000`,
    below: 'x=$(yes | head -c 4000000); echo x; sleep 0.5',
  },
  pids: {
    limits: { pids: 20 },
    beyond: `${FOREVER} for i in {1..60}; do sleep 1000 & done; sleep 1000`,
    below: 'for i in {1..15}; do sleep 0.7 & done; wait; echo x',
  },
  log: { limits: { log: 100_000 }, beyond: `${FOREVER} yes`, below: 'yes | head -c 90000' },
  output: { limits: { output: 100_000 }, beyond: 'true', below: 'true' }, // below, with the store
};

/** The daemon does not care who asks it. */
const WHERE = SANDBOXES.filter(({ executor, nobody }) => executor === 'namespace' || !nobody);

describe.each(WHERE)('limits of $title', (sandbox) => {
  if (sandbox.skip) return it.skip('are not tested here', () => {});
  const clients = new Clients();
  let client: Client;
  let table: LimitTable;
  beforeAll(async () => {
    client = await clients.client(sandbox);
    table = (await client.run({ command: [] })).table as LimitTable;
  });
  afterAll(() => clients[Symbol.asyncDispose]());

  /** Its error's code and message, or its exit code. */
  const run = async (script: string, limits: Limits, marker = '') => {
    const { result, error, output } = await client.run({ command: ['bash', '-c', script, marker], limits });
    return { code: error?.code ?? '', message: error?.message ?? '', exitCode: result?.exitCode, output };
  };
  /** Whatever is left of steps besides processes. */
  const leftovers = (): readonly string[] => [
    ...groupsOf(client.process.pid as number),
    ...(sandbox.executor === 'docker' ? containersOf(client.process.pid as number) : []),
  ];

  it.each(LIMIT_NAMES.filter((name) => name !== 'output'))('%s: as the table says', async (name) => {
    const { limits, beyond, below } = CASES[name];
    expect(table[name].how).not.toBe('');
    if (table[name].kept === 'no') {
      // Whatever the table says of it, a step must then be able to go beyond.
      const ended = await run(`${below}; exit 7`, limits);
      expect(ended).toMatchObject({ code: '', exitCode: 7 });
      return;
    }
    const marker = uniqueMarker();
    const ended = await run(`${beyond} # ${marker}`, limits, marker);
    expect(ended).toMatchObject({ code: `LIMIT_${name.toUpperCase()}` });
    expect(ended.message).toContain(`its limit`);
    expect(ended.message).toContain(`${name}=`);
    expect(processesWith(marker)).toEqual([]);
    expect(leftovers()).toEqual([]);
    expect(await run(`${below}; exit 7`, limits)).toMatchObject({ code: '', exitCode: 7 });
    expect(leftovers()).toEqual([]);
  });

  it('memory: files in memory count, however they got there', async () => {
    for (const folder of ['/tmp', '/dev/shm']) {
      const script = `dd if=/dev/zero of=${folder}/file bs=1M count=60 2>/dev/null; sleep 1000`;
      const ended = await run(script, { memory: 40 * 2 ** 20, wall: 60 });
      expect(ended.code, folder).toBe('LIMIT_MEMORY');
    }
  });

  it('memory: a step that shrugs off the death of a child does not pass', async () => {
    const script = `(x=$(yes | head -c 200000000); sleep 3); echo shrugged; exit 0`;
    expect(await run(script, { memory: 64 * 2 ** 20 })).toMatchObject({ code: 'LIMIT_MEMORY' });
  });

  it('pids: a fork bomb stays small, and ends', async () => {
    const marker = uniqueMarker();
    const script = `bomb() { bomb 2>/dev/null & bomb 2>/dev/null & sleep 1000; }; bomb # ${marker}`;
    const ended = await run(script, { pids: 50, wall: 60 }, marker);
    expect(ended.code).toBe('LIMIT_PIDS');
    expect(processesWith(marker)).toEqual([]);
  });

  it('the first limit that is reached is the one that is told', async () => {
    const ended = await run('sleep 1000', {
      wall: 1,
      silence: 50,
      cpu: 50,
      memory: 2 ** 30,
      pids: 100,
      log: 1000,
    });
    expect(ended.code).toBe('LIMIT_WALL');
    expect(leftovers()).toEqual([]);
  });

  it('many limits at once let through what stays below them', async () => {
    const limits = { wall: 100, silence: 100, cpu: 100, memory: 2 ** 30, pids: 100, log: 1000 };
    expect(await run('echo fine; exit 7', limits)).toMatchObject({ code: '', exitCode: 7, output: 'fine\n' });
    expect(leftovers()).toEqual([]);
  });

  if (sandbox.executor === 'namespace')
    it('the group of a vmbuild that was killed is removed by the next one', async () => {
      const victim = client.another();
      const { pid } = victim.process;
      const marker = uniqueMarker();
      void victim.run({ command: ['bash', '-c', 'sleep 1000; :', marker], limits: { memory: 2 ** 30, pids: 100 } });
      await until('the step runs', () => processesWith(marker).length > 0);
      expect(groupsOf(pid as number).length > 0).toBe(table.memory.kept === 'exactly');
      victim[Symbol.dispose]();
      await until('the step is gone', () => processesWith(marker).length === 0);
      await until('the groups are gone', async () => {
        using another = client.another();
        await another.run({ command: [] });
        return groupsOf(pid as number).length === 0;
      });
    });

  if (sandbox.executor === 'docker')
    it('output: a sparse terabyte is refused before a byte of it is fetched', async () => {
      const script = 'dd if=/dev/zero of=/out/sparse bs=1 count=0 seek=1T 2>/dev/null';
      const { error, out } = await client.run({ command: ['bash', '-c', script], limits: { output: 2 ** 30 } });
      expect(error?.code).toBe('LIMIT_OUTPUT');
      expect(out).toEqual([]);
    });
});

/** Control groups that a process has made; they carry its mark (ownerPrefix). */
function groupsOf(pid: number): string[] {
  const boot = ownerPrefix().split('.')[0];
  return execFileSync('find', ['/sys/fs/cgroup', '-type', 'd', '-name', `vmbuild-${boot}.${pid}.*`], {
    encoding: 'utf8',
  })
    .split('\n')
    .filter((line) => line !== '');
}

/** Containers that a process has made. */
function containersOf(pid: number): string[] {
  const boot = ownerPrefix().split('.')[0];
  return execFileSync(
    'docker',
    ['ps', '--all', '--filter', 'label=vmbuild.run', '--format', '{{.Label "vmbuild.run"}}'],
    {
      encoding: 'utf8',
    },
  )
    .split('\n')
    .filter((run) => run.startsWith(`${boot}.${pid}.`));
}
