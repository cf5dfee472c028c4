import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CONTRACT_AXES } from '../../src/build/verify/contractAxes.ts';
import { describeMachine } from '../../src/build/verify/machine.ts';

const PYTHON = '/usr/bin/python3';
const scratch = mkdtempSync(join(tmpdir(), 'vmbuild-test-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const machine = describeMachine(scratch, 1);
const missing =
  machine.faketime === undefined
    ? 'libfaketime is not installed'
    : spawnSync(PYTHON, ['--version']).status === 0
      ? undefined
      : `there is no ${PYTHON}`;

describe.skipIf(missing !== undefined)(`the axis clock${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  it('leaves Python able to sleep and to wait', () => {
    const clock = CONTRACT_AXES.find(({ name }) => name === 'clock');
    const change = clock?.vary({ ...machine, executor: 'namespace', firstExecutor: 'namespace' } as never);
    const { environment } = (change as { variations: { environment: Record<string, string> } }).variations;
    const program = `
import datetime, subprocess, threading, time
time.sleep(0.01)
threading.Event().wait(0.01)
try:
    subprocess.run(['sleep', '9'], timeout=0.1)
except subprocess.TimeoutExpired:
    print(datetime.date.today().year)
`;
    const { stdout, stderr } = spawnSync(PYTHON, ['-c', program], {
      encoding: 'utf8',
      timeout: 60_000,
      env: {
        PATH: '/usr/bin:/bin',
        ...environment,
        LD_PRELOAD: machine.faketime,
        PYTHONPATH: dirname(machine.pythonSleep),
      },
    });
    expect(stderr).toBe('');
    expect(Number(stdout)).toBeGreaterThan(new Date().getFullYear() + 1);
  });
});
