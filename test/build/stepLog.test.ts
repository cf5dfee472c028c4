import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openStepLog } from '../../src/build/stepLog.ts';
import { temporary } from '../support/temporary.ts';

describe('the log of a step', () => {
  it('holds all that was written when it is closed, though nobody waited for the stream', async () => {
    const path = join(await temporary(), 'log');
    let seen = '';
    const lines = Array.from({ length: 2000 }, (_, index) => `line ${index} ${'x'.repeat(100)}\n`);
    {
      using log = openStepLog(path, (text) => (seen += text));
      for (const line of lines) log.stream.write(line);
      log.close();
      expect(log.tail().at(-1)).toBe(lines.at(-1)?.trimEnd());
    }
    expect(await readFile(path, 'utf8')).toBe(lines.join(''));
    expect(seen).toBe(lines.join(''));
  });

  it('that is short is held in memory, and in a file once it is not', async () => {
    const path = join(await temporary(), 'log');
    using log = openStepLog(path, () => {}, 6);
    log.stream.write('one');
    log.stream.write('two');
    expect(log.content()).toEqual(Buffer.from('onetwo'));
    expect(existsSync(path)).toBe(false);
    log.stream.write('3');
    expect(log.content()).toBe(path);
    expect(await readFile(path, 'utf8')).toBe('onetwo3');
  });

  it('whose disk is full ends its stream with the error', async () => {
    using log = openStepLog('/dev/full', () => {});
    const error = await new Promise((resolve) => log.stream.on('error', resolve).write('x'));
    expect(error).toMatchObject({ code: 'ENOSPC' });
    expect(log.stream.destroyed).toBe(true);
  });
});
