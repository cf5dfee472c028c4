import { spawn } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildSuite, cannotBuild, type Fixture, fixture, scriptRecipe } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { type Cli, cliFor, VMBUILD } from './cli.ts';

/** What stands in for QEMU: says what it was told on the socket where a machine's console is, echoes, and ends at `off`. */
const MACHINE = String.raw`
use IO::Socket::UNIX;
my $server = IO::Socket::UNIX->new(Local => '/out/console', Listen => 1) or die "no socket: $!";
my $console = $server->accept;
$console->autoflush(1);
print $console "machine: $ENV{VMBUILD_MACHINE}\r\n";
for my $path ('/in/rom/rom.bin', glob '/in/disk-*') {
  open my $file, '<', $path or die "$path: $!";
  print $console "$path has ", scalar <$file>;
}
print $console "\e[1mBold\e[0m and \e";
select undef, undef, undef, 0.2;
print $console "[31mred\r\n";
while (my $line = <$console>) {
  last if $line =~ /off/;
  print $console "heard $line";
}
print $console "going off\r\n";
`;

async function project(machine = MACHINE): Promise<Fixture> {
  return await fixture({
    'rom-board/recipe.ts': scriptRecipe('echo firmware >/out/rom.bin'),
    'boot-board/machine.pl': machine,
    'boot-board/recipe.ts': scriptRecipe('', {
      inputs: { rom: 'rom-board' },
      files: ['machine.pl'],
      command: ['perl', '/recipe/machine.pl'],
    }),
  });
}

/** No file of the machine is left in the store, and nothing of it is recorded. */
async function expectNothingLeft(cli: Cli): Promise<void> {
  expect(await readdir(join(cli.store, 'tmp'))).toEqual([]);
  expect((await cli.run('show', 'boot-board')).stdout).toContain('none: never built here');
}

describe.skipIf(cannotBuild !== undefined)(buildSuite('vmbuild boot'), () => {
  it('realises the ROM, boots it, and ends when the console has shown what is expected', async () => {
    const cli = await cliFor(await project());
    const disk = join(await temporary(), 'my disk.img');
    await writeFile(disk, 'a file system\n');
    const machine = ['--disk', disk, '--memory', '512', '--cpus', '2', '--network'];
    const marks = ['--expect', 'has a file system', '--expect', 'Bold and red'];
    const { code, stdout, stderr } = await cli.run('boot', 'rom-board', ...machine, ...marks);
    expect(stderr).toMatch(/\d s {2}has a file system\n/);
    expect(code).toBe(0);
    expect(stdout).toContain('machine: {"memory":512,"cpus":2,"network":true,"disks":1}\n');
    expect(stdout).toContain('/in/rom/rom.bin has firmware\n/in/disk-1 has a file system\nBold and red\n');
    await expectNothingLeft(cli);
  });

  it('fails with the end of the console if the machine goes off or time is up before that', async () => {
    const cli = await cliFor(await project(MACHINE.replace('<$console>', '"off"')));
    const off = await cli.run('boot', 'rom-board', '--expect', 'firmware', '--expect', 'never');
    expect(off.stderr).toContain('BOOT_FAILED');
    expect(off.code).toBe(3);
    expect(off.stderr).toMatch(/the machine is off, and the console has not shown "never"/);
    expect(off.stderr).toContain('BOOT_FAILED');
    expect(off.stderr).toContain('going off');

    const waiting = await cliFor(await project());
    const late = await waiting.run('boot', 'rom-board', '--expect', 'never', '--timeout', '1');
    expect(late.code).toBe(3);
    expect(late.stderr).toContain('timed out after 1 s, and the console has not shown "never"');
    await expectNothingLeft(waiting);
  });

  it('shows the console until the machine is off if nothing is expected', async () => {
    const cli = await cliFor(await project(MACHINE.replace('<$console>', '"off"')));
    const { code, stdout } = await cli.run('boot', 'rom-board');
    expect(code).toBe(0);
    expect(stdout).toContain('going off\n');
  });

  it('says why a machine never started', async () => {
    const cli = await cliFor(await project('print "no such processor\\n"; exit 1;'));
    const { code, stderr } = await cli.run('boot', 'rom-board');
    expect(code).toBe(3);
    expect(stderr).toContain('QEMU did not open the console of the machine');
    expect(stderr).toContain('no such processor');
    await expectNothingLeft(cli);
  });

  it('stops the machine at Ctrl-C', async () => {
    const cli = await cliFor(await project());
    const { child, ended } = cli.start('boot', 'rom-board');
    child.stdout?.once('data', () => child.kill('SIGINT'));
    expect((await ended).code).toBe(130);
    await expectNothingLeft(cli);
  });

  it('connects a terminal, whose Ctrl-] switches the machine off', async () => {
    const own = await project();
    const cli = await cliFor(own);
    // script(1) gives the program a terminal of its own.
    const words = [VMBUILD, '--recipes', own.root.recipes, '--store', cli.store, 'boot', 'rom-board', '--interactive'];
    const child = spawn('script', ['-qec', words.map((word) => `'${word}'`).join(' '), '/dev/null']);
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const [before, after] = [shown, shown + chunk];
      const appears = (words: string): boolean => after.includes(words) && !before.includes(words);
      shown = after;
      if (appears('red')) child.stdin.write('hello\n');
      if (appears('heard hello')) child.stdin.write('\x1d');
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(shown).toContain('red');
    expect(code).toBe(0);
    expect(shown).toContain('heard hello');
    expect(shown).toContain('The machine is off.');
    await expectNothingLeft(cli);
  });

  it('refuses what it cannot boot, and disks that are none', async () => {
    const cli = await cliFor(await project());
    const folder = join(await temporary(), 'folder');
    await mkdir(folder);
    for (const [args, message] of [
      [['rom-other'], 'nothing can boot rom-other'],
      [['boot-board'], 'nothing can boot boot-board'],
      [['rom-board', '--disk', folder], 'folder is not a file'],
      [['rom-board', '--disk', '/absent.img'], '/absent.img is not a file'],
      [['rom-board', '--interactive'], '--interactive wants a terminal'],
      [['rom-board', '--memory', '0'], '--memory must be a whole number'],
    ] as const) {
      const { code, stderr } = await cli.run('boot', ...args);
      expect(stderr).toContain(message);
      expect(code).toBe(2);
    }
  });
});
