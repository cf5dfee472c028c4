import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDockerExecutor } from '../../../src/executors/docker/dockerExecutor.ts';
import { stepEnvironment } from '../../../src/model/sandbox.ts';
import { daemonAnswers, Harness, NEEDS_DAEMON, objectsLabelled } from './harness.ts';
import { PROBE_PREFIX } from '../../support/probePrefix.ts';

const answers = await daemonAnswers();

describe.skipIf(!answers)(`docker executor ${NEEDS_DAEMON}`, { timeout: 120_000 }, () => {
  let harness: Harness;
  beforeAll(() => {
    harness = new Harness();
  });
  afterAll(() => harness.dispose());
  const executor = createDockerExecutor();

  it('says that it is available', async () => {
    expect(await executor.probe(PROBE_PREFIX)).toEqual({ available: true });
  });

  it('gives the step exactly the declared environment', async () => {
    const step = harness.step('', { env: { DECLARED: 'a b\nc=d', EMPTY: '' } });
    const command = ['cat', '/proc/self/environ'];
    await executor.run({
      ...step.request,
      document: { ...step.request.document, env: { DECLARED: 'a b\nc=d', EMPTY: '' }, command },
    });
    const seen = step
      .text()
      .split('\0')
      .filter((variable) => variable !== '');
    const expected = stepEnvironment(
      { ...step.request.document, env: { DECLARED: 'a b\nc=d', EMPTY: '' } },
      { cores: 2 },
    );
    expect(Object.fromEntries(seen.map((variable) => variable.split(/=([^]*)/, 2)))).toEqual(expected);
    expect(seen.length).toBe(Object.keys(expected).length);
  });

  it('runs as 1000:100 without privileges, with the limits, the umask and the host name of the sandbox', async () => {
    const step = harness.step(`
      id; umask; pwd; echo $HOSTNAME; ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -Ss; ulimit -Hs
      while read -r key value; do case $key in CapEff:|CapBnd:|NoNewPrivs:) echo "$key $value";; esac; done </proc/self/status
      read -r line && echo "stdin: $line"; cat /etc/hostname /etc/hosts /etc/resolv.conf`);
    expect(await executor.run(step.request)).toEqual({ exitCode: 0, signal: null });
    expect(step.text().split('\n')).toEqual([
      'uid=1000 gid=100 groups=100',
      '0022',
      '/build',
      'vmbuild',
      '4096',
      '4096',
      '0',
      '8192',
      '8192',
      'CapEff: 0000000000000000',
      'CapBnd: 0000000000000000',
      'NoNewPrivs: 1',
      'vmbuild',
      '127.0.0.1 localhost vmbuild',
      '',
    ]);
  });

  it('has no network', async () => {
    const step = harness.step(`
      while read -r name _; do case $name in *:) echo "$name";; esac; done </proc/net/dev
      (echo >/dev/tcp/192.0.2.1/80) 2>&1 | head -n 1`);
    await executor.run(step.request);
    expect(step.text()).toMatch(/^lo:\n.*Network is unreachable/);
  });

  it('may write where the sandbox says and nowhere else', async () => {
    const step = harness.step(
      `
      for d in /build /out /tmp /dev/shm / /etc /in /recipe /in/t /var/tmp /usr/bin /etc/hosts; do
        if (echo >$d/x) 2>/dev/null || { [ -f $d ] && (echo >>$d) 2>/dev/null; }; then echo "yes $d"; else echo "no $d"; fi
      done
      for d in /build /out /tmp /dev/shm; do
        printf '#!/bin/bash\\necho executable' >$d/run; chmod 755 $d/run; $d/run; rm $d/run
      done
      while read -r _ place type options _; do [ $place = /dev/shm ] && echo $type $options; done </proc/mounts
      for d in /build /out /tmp; do stat -c '%a %u:%g' $d; done; ls -A /build /tmp /out`,
      { inputs: { t: harness.tree({ a: 'b' }) } },
    );
    await executor.run(step.request);
    expect(step.text()).toBe(
      'yes /build\nyes /out\nyes /tmp\nyes /dev/shm\nno /\nno /etc\nno /in\nno /recipe\nno /in/t\nno /var/tmp\n' +
        'no /usr/bin\nno /etc/hosts\nexecutable\nexecutable\nexecutable\nexecutable\ntmpfs rw,nosuid,nodev,relatime,size=65536k\n1777 0:0\n1777 0:0\n1777 0:0\n/build:\nx\n\n/out:\nx\n\n/tmp:\nx\n',
    );
  });

  it.each(['auto', 'volumes'] as const)('shows trees, files and the recipe alike (%s)', async (inputs) => {
    const many = Array.from({ length: 300 }, (_, index) => [`many/file ${index}`, `${index}`]);
    const tree = harness.tree({ ...Object.fromEntries(many), 'ä/x': 'umlaut', [`${'long/'.repeat(40)}end`]: 'deep' });
    const deep = `${'long/'.repeat(40)}end`;
    const step = harness.step(
      `ls /in /recipe; stat -c '%A %u:%g' /in/* /in/lib/ä/x /recipe /recipe/hello.txt; ls /in/lib/many | wc -l
       cat /in/src.tar /in/lib/ä/x /in/lib/${deep} '/in/lib/many/file 299' /recipe/hello.txt
       cp -r /in/lib /in/src.tar /out`,
      { inputs: { lib: tree, 'src.tar': harness.file('a source\n'), empty: harness.tree({}) } },
    );
    expect(await createDockerExecutor({ inputs }).run(step.request)).toEqual({ exitCode: 0, signal: null });
    expect(step.text()).toBe(
      '/in:\nempty\nlib\nsrc.tar\n\n/recipe:\nhello.txt\n' +
        'drwxr-xr-x 0:0\ndrwxr-xr-x 0:0\n-rw-r--r-- 0:0\n-rw-r--r-- 0:0\ndrwxr-xr-x 0:0\n-rw-r--r-- 0:0\n300\n' +
        'a source\numlautdeep299hello\n',
    );
    expect(readFileSync(join(step.out, 'lib/many/file 7'), 'utf8')).toBe('7');
    expect(readFileSync(join(step.out, 'src.tar'), 'utf8')).toBe('a source\n');
  });

  it('reports exit codes and signals', async () => {
    for (const exitCode of [0, 1, 3, 127, 255]) {
      expect(await executor.run(harness.step(`exit ${exitCode}`).request)).toEqual({ exitCode, signal: null });
    }
    const segv = harness.step('bash -c "kill -SEGV \\$\\$"; exit $?');
    expect(await executor.run(segv.request)).toEqual({ exitCode: null, signal: 'SIGSEGV' });
    const failed = harness.step('echo partial >/out/x; exit 1');
    await executor.run(failed.request);
    expect(readdirSync(failed.out)).toEqual([]);
  });

  it('takes a command that is not there for the step’s failure', async () => {
    const step = harness.step('');
    const document = { ...step.request.document, command: ['/no/such/command'] };
    expect(await executor.run({ ...step.request, document })).toEqual({ exitCode: 127, signal: null });
    expect(step.text()).toContain('/no/such/command');
  });

  it('loses no output of fifty short runs, two at a time', async () => {
    const run = async (index: number) => {
      const step = harness.step(`echo out ${index}; echo error ${index} >&2; echo end`);
      expect(await executor.run(step.request)).toEqual({ exitCode: 0, signal: null });
      expect(step.text().split('\n').sort()).toEqual(['', 'end', `error ${index}`, `out ${index}`]);
      expect(objectsLabelled(`vmbuild.step=${step.request.name}`)).toEqual({ containers: [], volumes: [] });
    };
    for (let index = 0; index < 50; index += 2) await Promise.all([run(index), run(index + 1)]);
  });

  it('gives a slow reader all of a big output and holds little of it', async () => {
    const size = 50 * 1024 * 1024;
    const hash = createHash('sha256');
    let [received, held] = [0, 0];
    const output: Writable = new Writable({
      highWaterMark: 64 * 1024,
      write(chunk: Buffer, _encoding, done) {
        held = Math.max(held, output.writableLength);
        received += chunk.length;
        hash.update(chunk);
        if (received % 16 === 0) setImmediate(done);
        else setTimeout(done, 1);
      },
    });
    const before = process.memoryUsage().rss;
    const step = harness.step(`yes 0123456789 | head -c ${size}`, { output });
    expect(await executor.run(step.request)).toEqual({ exitCode: 0, signal: null });
    expect(received).toBe(size);
    expect(hash.digest('hex')).toBe(
      createHash('sha256')
        .update('0123456789\n'.repeat(size / 11 + 1).slice(0, size))
        .digest('hex'),
    );
    expect(held).toBeLessThan(256 * 1024);
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
  });

  it('brings the output home with modes, links and copies of hard links', async () => {
    const step = harness.step(`
      cd /out; mkdir -p a/b locked; echo data >a/b/data; echo run >a/run; chmod 700 a/run; chmod 000 a/b/data
      ln a/run same; ln -s a/run link; ln -s /etc/passwd outside; echo x >locked/x; chmod 500 locked
      echo u >'ünï 名'; echo l >$(printf 'l%.0s' {1..200}); mkdir -p ${'deep/'.repeat(50)}; echo d >${'deep/'.repeat(50)}d`);
    await executor.run(step.request);
    expect(readFileSync(join(step.out, 'a/b/data'), 'utf8')).toBe('data\n');
    expect(lstatSync(join(step.out, 'a/b/data')).mode & 0o7777).toBe(0o644);
    expect(lstatSync(join(step.out, 'a/run')).mode & 0o111).not.toBe(0);
    expect(readFileSync(join(step.out, 'same'), 'utf8')).toBe('run\n');
    expect(lstatSync(join(step.out, 'same'))).toMatchObject({ nlink: 1, uid: process.getuid?.() });
    expect(lstatSync(join(step.out, 'outside')).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(step.out, 'ünï 名'), 'utf8')).toBe('u\n');
    expect(readFileSync(join(step.out, 'l'.repeat(200)), 'utf8')).toBe('l\n');
    expect(readFileSync(join(step.out, `${'deep/'.repeat(50)}d`), 'utf8')).toBe('d\n');
    expect(readFileSync(join(step.out, 'locked/x'), 'utf8')).toBe('x\n');
  });

  it('refuses special files and names that are not UTF-8, by name', async () => {
    const refused = async (script: string) => {
      const step = harness.step(script);
      const error: unknown = await executor.run(step.request).catch((error: unknown) => error);
      expect(objectsLabelled(`vmbuild.step=${step.request.name}`)).toEqual({ containers: [], volumes: [] });
      return error;
    };
    expect(await refused('mkdir /out/d; mkfifo /out/d/pipe')).toMatchObject({
      code: 'OUTPUT_INVALID',
      message: expect.stringContaining('"d/pipe" is a special file (fifo)'),
    });
    for (const script of ["echo >/out/$'bad\\xff'", "ln -s $'bad\\xff' /out/link", "mkdir /out/$'\\xc3'"]) {
      expect(await refused(script)).toMatchObject({
        code: 'OUTPUT_INVALID',
        message: expect.stringContaining('not UTF-8'),
      });
    }
  });

  it('keeps setuid and setgid bits, for the caller to refuse', async () => {
    const step = harness.step('echo >/out/u; chmod 4755 /out/u; mkdir /out/g; chmod 2755 /out/g');
    await executor.run(step.request);
    expect(lstatSync(join(step.out, 'u')).mode & 0o7000).toBe(0o4000);
    expect(lstatSync(join(step.out, 'g')).mode & 0o7000).toBe(0o2000);
  });

  it('fails if the scratch folder already has an output', async () => {
    const step = harness.step('true');
    mkdirSync(step.out);
    await expect(executor.run(step.request)).rejects.toThrow('EEXIST');
    expect(existsSync(step.out)).toBe(true);
  });
});
