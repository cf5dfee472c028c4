import { describe, expect, it } from 'vitest';
import { SharedTasks } from '../../../src/executors/docker/sharedTasks.ts';

const never = new AbortController().signal;

/** Work that ends only when it is aborted, and then after it has cleaned up. */
function endless(log: string[]): (signal: AbortSignal) => Promise<number> {
  return (signal) =>
    new Promise((_, reject) => {
      log.push('begun');
      signal.addEventListener('abort', () => {
        setTimeout(() => {
          log.push('cleaned up');
          reject(signal.reason);
        }, 20);
      });
    });
}

describe('SharedTasks', () => {
  it('does the work once and keeps the result', async () => {
    const tasks = new SharedTasks<number>();
    let count = 0;
    const work = async () => ++count;
    expect(await Promise.all([tasks.run('a', never, work), tasks.run('a', never, work)])).toEqual([1, 1]);
    expect(await tasks.run('a', never, work)).toBe(1);
    expect(await tasks.run('b', never, work)).toBe(2);
    tasks.forget('a');
    expect(await tasks.run('a', never, work)).toBe(3);
  });

  it('does not keep failures', async () => {
    const tasks = new SharedTasks<number>();
    await expect(tasks.run('a', never, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await tasks.run('a', never, () => Promise.resolve(1))).toBe(1);
  });

  it('goes on while somebody waits, and is aborted and waited for by the last to leave', async () => {
    const tasks = new SharedTasks<number>();
    const log: string[] = [];
    const [first, second] = [new AbortController(), new AbortController()];
    const one = tasks.run('a', first.signal, endless(log)).catch((error: unknown) => log.push(`${String(error)} 1`));
    const two = tasks.run('a', second.signal, endless(log)).catch((error: unknown) => log.push(`${String(error)} 2`));
    first.abort('left');
    await one;
    second.abort('left');
    await two;
    expect(log).toEqual(['begun', 'left 1', 'cleaned up', 'left 2']);
    expect(await tasks.run('a', never, () => Promise.resolve(1))).toBe(1);
  });

  it('does not begin for one who has left', async () => {
    const reason = new Error('gone');
    const work = () => Promise.reject(new Error('begun'));
    await expect(new SharedTasks<number>().run('a', AbortSignal.abort(reason), work)).rejects.toBe(reason);
  });
});
