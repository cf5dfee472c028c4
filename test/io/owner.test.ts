import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isOwnerAlive, ownerPrefix } from '../../src/io/owner.ts';
import { until } from '../support/processes.ts';

const OWNER = new URL('../../src/io/owner.ts', import.meta.url);
const PRINT = `import { ownerPrefix } from ${JSON.stringify(OWNER.href)}; process.stdout.write(ownerPrefix());`;
const NODE = ['--input-type=module', '-e'];

describe('the mark of an owner', () => {
  it('stands for this process as long as it lives', () => {
    expect(isOwnerAlive(`${ownerPrefix()}abcdef`)).toBe(true);
  });

  it('stands for another process that lives, and no longer when it has ended', async () => {
    const child = spawn(process.execPath, [...NODE, `${PRINT} process.stdin.resume();`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    const name = `${chunk.toString()}x`;
    expect(isOwnerAlive(name)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isOwnerAlive(name)).toBe(false);
  });

  it('is dead with its process, even while nobody has asked how that ended', async () => {
    // The shell becomes sleep, which never waits for the child that it has then.
    const script = `"${process.execPath}" ${NODE.join(' ')} '${PRINT}' & echo; exec sleep 1003`;
    const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void parent.kill('SIGKILL'));
    let name = '';
    parent.stdout.on('data', (chunk: Buffer) => (name += chunk.toString().trim()));
    await until('the mark was printed', () => name.split('.').length === 5);
    const pid = name.split('.')[1];
    await until('it is a zombie', () => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
    expect(isOwnerAlive(`${name}x`)).toBe(false);
  });

  it('is not taken over by a process that gets the same id later', () => {
    const [boot, pid, start, ...rest] = ownerPrefix().split('.');
    expect(isOwnerAlive([boot, pid, Number(start) + 1, ...rest].join('.'))).toBe(false);
  });

  it('does not outlive a boot', () => {
    const [boot = '', ...rest] = ownerPrefix().split('.');
    const other = boot.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    expect(isOwnerAlive([other, ...rest].join('.'))).toBe(false);
  });

  it('is left alone if it comes from another pid namespace, where ids mean other processes', () => {
    const [boot, , , namespace] = ownerPrefix().split('.');
    expect(isOwnerAlive(`${boot}.4194303.1.${namespace}.x`)).toBe(false);
    expect(isOwnerAlive(`${boot}.4194303.1.${Number(namespace) + 1}.x`)).toBe(true);
  });

  const unshare = ['--user', '--map-root-user', '--pid', '--fork', '--mount-proc'];
  it.skipIf(spawnSync('unshare', [...unshare, 'true']).status !== 0)(
    'differs between pid namespaces (needs user namespaces)',
    () => {
      const inside = spawnSync('unshare', [...unshare, process.execPath, ...NODE, PRINT]).stdout.toString();
      expect(inside.split('.')[0]).toBe(ownerPrefix().split('.')[0]);
      expect(inside.split('.')[3]).not.toBe(ownerPrefix().split('.')[3]);
      expect(isOwnerAlive(`${inside}x`)).toBe(true);
    },
  );

  it('is not found in names without one, which are nobody’s to remove', () => {
    for (const name of ['', 'notes', 'abc.1.2', 'zzzzzzzz.1.2.x']) expect(isOwnerAlive(name)).toBe(true);
  });
});
