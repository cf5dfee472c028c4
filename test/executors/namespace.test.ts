import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { execFileSync, spawnSync } from 'node:child_process';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { stepEnvironment } from '../../src/model/sandbox.ts';
import { buildSuite, cannotBuild } from '../support/fixture.ts';
import { processesWith, uniqueMarker, until } from '../support/processes.ts';
import { temporary } from '../support/temporary.ts';
import { Client, SECRET } from './runner/client.ts';

const image = inject('baseImage');
const isRoot = process.getuid?.() === 0;

describe
  .skipIf(cannotBuild !== undefined)
  .each([
    { who: 'the user who runs the tests', nobody: false },
    ...(isRoot ? [{ who: 'a user without rights', nobody: true }] : []),
  ])(buildSuite('the sandbox of the namespace executor, as $who'), ({ nobody }) => {
  let client: Client;
  beforeAll(() => {
    client = new Client('folder' in image ? join(image.folder, 'rootfs') : '', nobody);
  });
  afterAll(() => client[Symbol.dispose]());
  const lines = async (script: string): Promise<string[]> => (await client.script(script)).trimEnd().split('\n');

  it('has exactly the declared environment and that of the sandbox', async () => {
    const env = { DECLARED: 'a b\nc=d', EMPTY: '', LD_PRELOAD: '' };
    const { output, result } = await client.run({ command: ['cat', '/proc/self/environ'], env });
    expect(result).toEqual({ exitCode: 0, signal: null });
    const document = { env, sourceDateEpoch: 315532800 } as unknown as Parameters<typeof stepEnvironment>[0];
    const seen = output.split('\0').filter((variable) => variable !== '');
    const expected = Object.entries(stepEnvironment(document, { cores: 3 })).map(([name, value]) => `${name}=${value}`);
    expect(seen.sort()).toEqual(expected.sort());
    expect(output).not.toContain(SECRET);
  });

  it('shows nothing of the environment of vmbuild to a step that looks for it', async () => {
    expect(await client.script('cat /proc/*/environ /proc/*/cmdline 2>&1')).not.toContain(SECRET);
  });

  it('runs as 1000:100 without capabilities and without a way to get any', async () => {
    expect(await lines('id -u; id -g; grep -E "^(Cap|NoNewPrivs)" /proc/self/status | tr "\\t" " "')).toEqual([
      '1000',
      '100',
      'CapInh: 0000000000000000',
      'CapPrm: 0000000000000000',
      'CapEff: 0000000000000000',
      expect.stringMatching(/^CapBnd: /),
      'CapAmb: 0000000000000000',
      'NoNewPrivs: 1',
    ]);
  });

  it('has the umask, working directory, host name and limits of the sandbox', async () => {
    const script = 'umask; pwd; uname -n; for l in n c s; do ulimit -S$l; ulimit -H$l; done';
    expect(await lines(script)).toEqual(['0022', '/build', 'vmbuild', '4096', '4096', '0', '0', '8192', '8192']);
  });

  it('blocks and ignores no signals', async () => {
    expect(await lines('grep -E "^Sig(Blk|Ign)" /proc/self/status | cut -f2')).toEqual(Array(2).fill('0'.repeat(16)));
  });

  it('has nothing on standard input, and no descriptor that vmbuild inherited', async () => {
    const script = 'wc -c; for fd in {0..999}; do [ -e /proc/$$/fd/$fd ] && readlink /proc/$$/fd/$fd; done; true';
    const [stdin, ...open] = await lines(script);
    expect(stdin).toBe('0');
    // Standard output and error, and what the loop itself reads.
    expect(open.map((target) => target.replace(/\d+/, 'N'))).toEqual(['/dev/null', 'pipe:[N]', 'pipe:[N]']);
  });

  it('is alone in /proc', async () => {
    expect(await lines('echo /proc/[0-9]*; echo $$')).toEqual(['/proc/1', '1']);
  });

  it('sees no mounts, files or paths of the machine', async () => {
    const { output } = await client.run({ command: ['bash', '-c', 'ls -A /; cut -d" " -f5 /proc/self/mountinfo'] });
    const [entries, mounts] = [output.split('\n'), output.split('\n').filter((line) => line.startsWith('/'))];
    expect(entries).not.toContain('work');
    expect(mounts).toEqual([
      ...'/ /recipe /in /build /out /tmp /dev'.split(' '),
      ...'/dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/shm /sys /proc'.split(' '),
      // What is hidden of /proc; not every kernel has all of it.
      ...mounts.filter((path) => path.startsWith('/proc/')),
    ]);
  });

  it('has the loopback interface, up, and no other', async () => {
    expect(await lines('tail -n +3 /proc/net/dev | cut -d: -f1; tail -n +2 /proc/net/route')).toEqual(['    lo']);
    expect(
      await client.script(`perl -MSocket -e '
        socket(my $l, PF_INET, SOCK_STREAM, 0); bind($l, sockaddr_in(4711, INADDR_LOOPBACK)) or die "bind $!";
        listen($l, 1); socket(my $c, PF_INET, SOCK_STREAM, 0);
        connect($c, sockaddr_in(4711, INADDR_LOOPBACK)) or die "connect $!"; print "connected"' 2>&1`),
    ).toBe('connected');
  });

  it('reaches no listener on the loopback interface of the machine, and no abstract socket', async () => {
    const listen = (at: object): Promise<Server> =>
      new Promise((resolve) => {
        const server: Server = createServer((socket) => socket.end('leak')).listen(at, () => resolve(server));
      });
    const name = uniqueMarker();
    using servers = new DisposableStack();
    const tcp = servers.adopt(await listen({ port: 0, host: '127.0.0.1' }), (server) => server.close());
    servers.adopt(await listen({ path: `\0${name}` }), (server) => server.close());
    const { port } = tcp.address() as AddressInfo;
    const connect = `perl -MSocket -e '
      socket(my $c, PF_INET, SOCK_STREAM, 0); connect($c, sockaddr_in(${port}, INADDR_LOOPBACK)) or print "tcp: $!\\n";
      socket($c, PF_UNIX, SOCK_STREAM, 0); connect($c, sockaddr_un("\\0${name}")) or print "unix: $!\\n"' 2>&1`;
    expect(await lines(connect)).toEqual(['tcp: Connection refused', 'unix: Connection refused']);
    // The same program does reach them from outside, or it would prove nothing.
    expect(spawnSync('bash', ['-c', `command -v perl >/dev/null || exit 0; ${connect}`]).stdout.toString()).toBe('');
  });

  it('may write to /build, /out, /tmp and /dev/shm, which are empty, and run programs there', async () => {
    const script = `for d in /build /out /tmp /dev/shm; do
      ls -A $d; stat -c %a $d; printf '#!/bin/bash\\necho ran' >$d/p; chmod +x $d/p; $d/p; done; rm /out/p`;
    expect(await lines(script)).toEqual(Array.from({ length: 4 }, () => ['1777', 'ran']).flat());
  });

  it('may write nowhere else', async () => {
    const tree = mkdtempSync(join(client.folder, 'tree-'));
    chmodSync(tree, 0o777);
    writeFileSync(join(tree, 'file'), 'content', { mode: 0o666 });
    chmodSync(join(tree, 'file'), 0o666);
    const inputs = { tree: { kind: 'tree', path: tree }, file: { kind: 'file', path: join(tree, 'file') } } as const;
    const script = `for p in / /etc /usr/bin /var/tmp /in /in/tree /recipe /recipe/sub /dev /sys; do
        (: >$p/x) 2>/dev/null && echo "may write to $p"; done
      for p in /etc/passwd /in/tree/file /in/file /recipe/hello.txt; do
        (echo >>$p) 2>/dev/null && echo "may change $p"; chmod 777 $p 2>/dev/null && echo "may chmod $p"
        rm -f $p 2>/dev/null && echo "may remove $p"; done
      cat /in/tree/file /in/file /recipe/hello.txt`;
    expect(await client.script(script, { inputs })).toBe('contentcontenthello\n');
    expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('content');
  });

  it('has the devices of the sandbox and no others', async () => {
    const script = `cd /dev; echo *; head -c 3 /dev/zero | od -An -tx1; head -c 9 /dev/urandom | wc -c
      echo x >/dev/null; (echo x >/dev/full) 2>/dev/null || echo full; readlink fd stdin
      echo to-stdout >/dev/stdout; echo to-stderr | tee /dev/stderr`;
    expect(await lines(script)).toEqual([
      'fd full null random shm stderr stdin stdout urandom zero',
      ' 00 00 00',
      '9',
      'full',
      '/proc/self/fd',
      '/proc/self/fd/0',
      'to-stdout',
      'to-stderr',
      'to-stderr',
    ]);
  });

  it.each([
    ['mount', 'mount -t tmpfs tmpfs /tmp'],
    ['unmount', 'umount /tmp'],
    ['remount the root writable', 'mount -o remount,bind,rw /'],
    ['make a device', 'mknod /tmp/sda b 8 0'],
    ['change the mode of a device, whose node is the machine’s', 'chmod 666 /dev/null || touch -d @0 /dev/zero'],
    ['change the root', 'chroot / true'],
    ['make another user namespace', 'unshare --user true'],
    ['make another user namespace and be its root', 'unshare --map-root-user --mount true'],
    ['change the host name', 'hostname other || echo other >/proc/sys/kernel/hostname'],
    ['change what the kernel does with core dumps', 'echo x >/proc/sys/kernel/core_pattern'],
    ['change interrupts', '>>/proc/irq/default_smp_affinity'],
    ['become another user', 'chown 0:0 /build || setpriv --reuid=0 true'],
  ])('may not %s', async (_what, command) => {
    expect(await client.script(`if (${command}) >/dev/null 2>&1; then echo yes; else echo no; fi`)).toBe('no\n');
  });

  it.each([0, 1, 3, 127, 255])('reports exit code %d', async (exitCode) => {
    const { result } = await client.run({ command: ['bash', '-c', `exit ${exitCode}`] });
    expect(result).toEqual({ exitCode, signal: null });
  });

  it('takes a program that is not there for the failure of the step', async () => {
    for (const program of ['/no/such', 'nosuchprogram', '-x']) {
      const { result, output } = await client.run({ command: [program, 'A=b'] });
      expect(result).toEqual({ exitCode: 127, signal: null });
      expect(output).toContain(`${program}`);
    }
  });

  it('reports the signal that killed the command', async () => {
    // The command is process 1 of its namespace, which no process inside can kill; a fault still does.
    const { result } = await client.run({ command: ['perl', '-e', 'unpack("p", pack("Q", 8))'] });
    expect([
      { exitCode: null, signal: 'SIGSEGV' },
      { exitCode: 139, signal: null },
    ]).toContainEqual(result);
  });

  it('hands over all output in full, from both streams', async () => {
    const script = `(for i in {1..2000}; do printf 'out %04d %2500s\\n' $i .; done) &
      for i in {1..2000}; do printf 'err %04d %2500s\\n' $i . >&2; done; wait; echo end`;
    const output = await client.script(script);
    expect(output.length).toBe(2 * 2000 * 2510 + 4);
    for (const stream of ['out', 'err']) {
      const numbers = output.matchAll(new RegExp(`${stream} (\\d{4})`, 'g')).map((match) => Number(match[1]));
      expect([...numbers]).toEqual(Array.from({ length: 2000 }, (_, index) => index + 1));
    }
    expect(output.endsWith('end\n')).toBe(true);
  });

  it('keeps the order of standard output and standard error', async () => {
    const output = await client.script('for i in {1..500}; do echo $i; echo $i >&2; done');
    expect(output).toBe(Array.from({ length: 500 }, (_, index) => `${index + 1}\n${index + 1}\n`).join(''));
  });

  it('lets no background process outlive the step', async () => {
    const marker = uniqueMarker();
    const script = `bash -c 'sleep 1000; :' ${marker} & setsid bash -c 'trap "" HUP TERM; while :; do sleep 1; done' ${marker} >/dev/null 2>&1 </dev/null &
      until [ "$(pgrep -c -f ${marker} 2>/dev/null || cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c -x ${marker})" -ge 2 ]; do :; done; echo both`;
    expect(await client.script(script)).toBe('both\n');
    expect(processesWith(marker)).toEqual([]);
  });

  it.each([
    ['before it has begun', { abortAfterMs: 0 }],
    ['while it is set up', { abortAfterMs: 5 }],
    ['50 ms later', { abortAfterMs: 50 }],
    ['300 ms later', { abortAfterMs: 300 }],
    ['when it runs', { abortOnOutput: 'running' }],
  ])('is gone when it was aborted: %s', async (_when, abort) => {
    const marker = uniqueMarker();
    const script = `echo running; trap "" TERM INT HUP; setsid sleep 1001 & while :; do sleep 1; done # ${marker}`;
    const { error } = await client.run({ command: ['bash', '-c', script, marker], ...abort });
    expect(error?.message).toBe('aborted by the test');
    expect(processesWith(marker)).toEqual([]);
    expect(readdirSync(client.folder).filter((name) => /^(scratch|recipe)-/.test(name))).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(client.folder.slice(-6));
  });

  it.each([
    ['however much it prints', ''],
    ['even if it notices late', 'echo first; sleep 0.3;'],
  ])('ends a step whose log cannot be written, %s', async (_how, first) => {
    const marker = uniqueMarker();
    const script = `${first} while :; do echo out; echo err >&2; done # ${marker}`;
    const { error } = await client.run({ command: ['bash', '-c', script, marker], brokenOutput: true });
    expect(error?.code).toBe('ENOSPC');
    expect(processesWith(marker)).toEqual([]);
  });

  it('waits for a slow log instead of filling memory or losing output', async () => {
    const output = await client.script('for i in {1..40}; do printf "%65536s\\n" $i; done', { slowOutputMs: 5 });
    expect(output.length).toBe(40 * 65537);
  });

  it('removes what a step left with modes that forbid it', async () => {
    const { result } = await client.run({
      command: [
        'bash',
        '-c',
        'for d in /build /out; do mkdir -p $d/a/b; : >$d/a/b/c; chmod 0 $d/a/b/c $d/a/b $d/a; done',
      ],
    });
    expect(result).toEqual({ exitCode: 0, signal: null });
    expect(readdirSync(client.folder).filter((name) => name.startsWith('scratch-'))).toEqual([]);
  });

  it('cannot signal anything outside', async () => {
    expect(await client.script('kill -9 0; kill -9 -1 2>&1; echo alive')).toBe(
      'bash: line 1: kill: (-1) - No such process\nalive\n',
    );
  });

  it('is not told of the keys and timers of the machine', async () => {
    expect(await client.script('cat /proc/keys /proc/timer_list; ls /proc/acpi')).toBe('');
  });

  it('dies with a vmbuild that is killed at any moment', async () => {
    for (const moment of [0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20]) {
      using victim = client.another();
      await victim.script('true');
      void victim.run({ command: ['bash', '-c', `setsid sleep 1003 & while :; do sleep 1; done # ${victim.folder}`] });
      await sleep(moment);
      victim.process.kill('SIGKILL');
      await until('the step is gone', () => processesWith(victim.folder).length === 0);
    }
  });

  it('dies with a vmbuild that is killed although it asked the kernel to let it live', async () => {
    using victim = client.another();
    const marker = uniqueMarker();
    // 157 is prctl, 1 is PR_SET_PDEATHSIG.
    const program = 'setpgrp; syscall(157, 1, 0); $SIG{$_} = "IGNORE" for qw(HUP TERM INT PIPE); sleep 1 while 1';
    void victim.run({ command: ['perl', '-e', program, marker] });
    await until('the step runs', () => processesWith(marker).length > 0);
    victim.process.kill('SIGKILL');
    await until('the step is gone', () => processesWith(marker).length === 0);
  });

  it('dies with a vmbuild that is killed', async () => {
    using victim = client.another();
    const marker = uniqueMarker();
    void victim.run({ command: ['bash', '-c', `setsid sleep 1002 & while :; do sleep 1; done # ${marker}`] });
    await until('the step runs', () => processesWith(marker).length > 0);
    victim.process.kill('SIGKILL');
    await until('the step is gone', () => processesWith(marker).length === 0);
  });
});

describe.skipIf(cannotBuild !== undefined || !isRoot)(
  buildSuite('on a file system with restrictive mount options (needs root)'),
  () => {
    it('runs as a user without rights below a mount with nosuid, nodev and noatime', async () => {
      const folder = await temporary();
      chmodSync(folder, 0o755);
      const point = join(folder, 'mnt');
      mkdirSync(point);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'nosuid,nodev,noatime,mode=777,size=400m', 'tmpfs', point]);
      try {
        using client = new Client('folder' in image ? join(image.folder, 'rootfs') : '', true, { parent: point });
        expect(await client.script('echo ran; (: >/in/x) 2>/dev/null || echo read-only')).toBe('ran\nread-only\n');
      } finally {
        execFileSync('umount', ['--lazy', point]);
      }
    });
  },
);

if (!isRoot) it.skip('the sandbox as another user (needs root to become one)', () => {});
