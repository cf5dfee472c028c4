import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { listTree, treeDigest } from '../../../src/io/tree.ts';
import { SANDBOX } from '../../../src/model/sandbox.ts';

/** The programs of this machine that the tests' steps use; their libraries come along. */
const PROGRAMS =
  'bash cat chmod cp dd env head id ln ls mkdir mkfifo mv printf rm sha256sum sleep stat touch true tr wc yes'.split(
    ' ',
  );

/** An image for tests in the form that executors take. */
export interface TestImage {
  readonly rootfs: string;
  readonly config: string;
}

/** Makes a root with a few programs of this machine, and its OCI config with the given members of `config`. */
export function makeTinyImage(folder: string, config: Record<string, unknown> = {}): TestImage {
  const rootfs = join(folder, 'rootfs');
  for (const path of ['usr/bin', 'usr/lib', 'usr/lib64', 'etc', 'var/tmp', ...SANDBOX.mountPoints]) {
    mkdirSync(join(rootfs, path), { recursive: true });
  }
  for (const link of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${link}`, join(rootfs, link));
  symlinkSync('bash', join(rootfs, 'usr/bin/sh'));
  for (const path of SANDBOX.stickyDirectories) chmodSync(join(rootfs, path), 0o1777);
  for (const program of PROGRAMS) copyProgram(program, rootfs);
  // The locale of every step; it is built into newer C libraries, and bash complains where it is missing.
  const locale = '/usr/lib/locale/C.utf8';
  if (existsSync(locale)) cpSync(locale, join(rootfs, locale), { recursive: true });
  writeFileSync(join(rootfs, 'etc/hostname'), 'vmbuild\n');
  writeFileSync(join(rootfs, 'etc/hosts'), '127.0.0.1 localhost vmbuild\n');
  writeFileSync(join(rootfs, 'etc/resolv.conf'), '');
  return { rootfs, config: configFor(treeDigest(rootfs, listTree(rootfs, 'image')), config) };
}

/** An OCI config with one layer. */
export function configFor(diffId: string, config: Record<string, unknown> = {}): string {
  return JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
  });
}

/** Copies a program of this machine with its libraries. */
export function copyProgram(name: string, rootfs: string): void {
  const program = realpathSync(
    execFileSync('sh', ['-c', `command -v /usr/bin/${name} || command -v /bin/${name}`], { encoding: 'utf8' }).trim(),
  );
  copyFileSync(program, join(rootfs, 'usr/bin', name));
  chmodSync(join(rootfs, 'usr/bin', name), 0o755);
  const libraries = execFileSync('ldd', [program], { encoding: 'utf8' });
  for (const [, library = ''] of libraries.matchAll(/(\/\S+) \(0x/g)) {
    // The loader stands where the programs ask for it; /lib and /lib64 are links into /usr.
    const target = join(rootfs, library.startsWith('/usr/') ? library : `/usr${library}`);
    if (existsSync(target)) continue;
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(realpathSync(library), target);
    chmodSync(target, basename(target).startsWith('ld-') ? 0o755 : 0o644);
  }
}
