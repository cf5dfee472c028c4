import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { isGone, ownRun } from '../../../src/executors/docker/labels.ts';

describe('run labels', () => {
  const [boot, , start, namespace] = ownRun().split('.');

  it('knows that this process is alive', () => {
    expect(isGone(ownRun())).toBe(false);
  });

  it('knows that a process that has ended is gone, even if its number is in use again', async () => {
    const child = spawn('true');
    await once(child, 'close');
    expect(isGone(`${boot}.${child.pid}.${start}.${namespace}.`)).toBe(true);
    expect(isGone(`${boot}.${process.pid}.${Number(start) - 1}.${namespace}.`)).toBe(true);
  });

  it('takes every process elsewhere, and every label that it does not understand, for alive', () => {
    expect(isGone(`00000000.999999999.1.${namespace}.`)).toBe(false);
    expect(isGone(`${boot}.999999999.1.1.`)).toBe(false);
    for (const label of ['', 'x', '...', `${boot}.x.1.${namespace}.`]) expect(isGone(label)).toBe(false);
  });
});
