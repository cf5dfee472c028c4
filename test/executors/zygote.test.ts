import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildSuite, cannotBuild } from '../support/fixture.ts';
import { processesWith, uniqueMarker, until } from '../support/processes.ts';
import { Client } from './runner/client.ts';

const image = inject('baseImage');
const isRoot = process.getuid?.() === 0;

/** Undefined if it has ended. */
function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return undefined;
  }
}

function zygotesOf(client: Client): number[] {
  return processesWith('enter.pl').filter((pid) => parentOf(pid) === client.process.pid);
}

/** Of the sandboxes that are there now. */
function keepersOf(client: Client): number[] {
  const zygotes = zygotesOf(client);
  return processesWith(client.folder).filter((pid) => zygotes.includes(parentOf(pid) ?? 0));
}

/** Goes on until it is ended. */
function endless(marker: string): readonly string[] {
  return [
    'bash',
    '-c',
    `echo runs; trap "" TERM; setsid bash -c "while :; do sleep 1; done # ${marker}" & while :; do sleep 1; done # ${marker}`,
  ];
}

describe
  .skipIf(cannotBuild !== undefined)
  .each([
    { who: 'the user who runs the tests', nobody: false },
    ...(isRoot ? [{ who: 'a user without rights', nobody: true }] : []),
  ])(buildSuite('the process that forks sandboxes, as $who'), ({ nobody }) => {
  let first: Client;
  beforeAll(() => {
    first = new Client('folder' in image ? join(image.folder, 'rootfs') : '', nobody);
  });
  afterAll(() => first[Symbol.dispose]());
  const client = (): Client => first.another();

  it('is one for all steps, also for those that run at once', async () => {
    using many = client();
    const scripts = Array.from({ length: 12 }, (_, index) => many.script(`echo ${index}; sleep 0.2`));
    expect(await Promise.all(scripts)).toEqual(scripts.map((_, index) => `${index}\n`));
    const zygotes = zygotesOf(many);
    expect(zygotes).toHaveLength(1);
    expect(await many.script('echo again')).toBe('again\n');
    expect(zygotesOf(many)).toEqual(zygotes);
  });

  it('gives a step nothing of those that run beside it', async () => {
    using several = client();
    const marker = uniqueMarker();
    for (let count = 0; count < 3; count += 1) await several.begin({ command: endless(marker) }, 'runs');
    const script = 'for fd in {0..99}; do [ -e /proc/$$/fd/$fd ] && readlink /proc/$$/fd/$fd; done; echo /proc/[0-9]*';
    const lines = (await several.script(script)).trimEnd().split('\n');
    expect(lines.map((line) => line.replace(/pipe:\[\d+\]/, 'pipe'))).toEqual(['/dev/null', 'pipe', 'pipe', '/proc/1']);
  });

  it('keeps no pipe of a sandbox', async () => {
    using several = client();
    for (let count = 0; count < 2; count += 1) await several.begin({ command: endless('x') }, 'runs');
    const [zygote = 0] = zygotesOf(several);
    expect(descriptorsOf(zygote)).toEqual(['0', '1', '2']);
    const keepers = keepersOf(several);
    expect(keepers).toHaveLength(2);
    // Its own two, and what tells that the two processes live: one end of each.
    for (const keeper of keepers) expect(descriptorsOf(keeper)).toHaveLength(5);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('is not ended with one sandbox, nor are the others: %s', async (signal) => {
    using both = client();
    const [one, other] = [uniqueMarker(), uniqueMarker()];
    const ended = both.run({ command: endless(one), announce: 'runs' });
    await until('the first runs', () => processesWith(one).length > 0);
    const [keeper = 0] = keepersOf(both);
    await both.begin({ command: endless(other) }, 'runs');
    const zygotes = zygotesOf(both);
    process.kill(keeper, signal);
    expect((await ended).error).toEqual({
      code: 'EXECUTOR_FAILED',
      message: 'the sandbox was ended by somebody else: no message',
    });
    await until('the first is gone', () => processesWith(one).length === 0);
    expect(processesWith(other)).not.toEqual([]);
    expect(zygotesOf(both)).toEqual(zygotes);
  });

  it('leaves the others alone when one step is aborted', async () => {
    using both = client();
    const [one, other] = [uniqueMarker(), uniqueMarker()];
    await both.begin({ command: endless(other) }, 'runs');
    const { error } = await both.run({ command: endless(one), abortOnOutput: 'runs' });
    expect(error?.message).toBe('aborted by the test');
    expect(processesWith(one)).toEqual([]);
    expect(processesWith(other)).not.toEqual([]);
  });

  it('takes all sandboxes with it when it is killed, and the next step has another', async () => {
    using victim = client();
    const marker = uniqueMarker();
    const ended = [1, 2].map(() => victim.run({ command: endless(marker) }));
    await until('both run', () => keepersOf(victim).length === 2 && processesWith(marker).length >= 4);
    const [zygote = 0] = zygotesOf(victim);
    process.kill(zygote, 'SIGKILL');
    for (const { error } of await Promise.all(ended)) expect(error?.code).toBe('EXECUTOR_FAILED');
    await until('the steps are gone', () => processesWith(marker).length === 0);
    expect(await victim.script('echo another')).toBe('another\n');
    expect(zygotesOf(victim)).not.toContain(zygote);
  });

  it('dies with a vmbuild that is killed, though nothing runs', async () => {
    using victim = client();
    await victim.script('true');
    const zygotes = zygotesOf(victim);
    expect(zygotes).toHaveLength(1);
    victim.process.kill('SIGKILL');
    await until('it is gone', () => zygotes.every((pid) => parentOf(pid) === undefined));
  });

  it('keeps no vmbuild from ending, and ends before it', async () => {
    using ending = client();
    await ending.script('true');
    const zygotes = zygotesOf(ending);
    const exit = once(ending.process, 'exit');
    ending.process.stdin.end();
    expect(await exit).toEqual([0, null]);
    expect(zygotes.map(parentOf)).toEqual([undefined]);
  });
});

function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).sort();
}
