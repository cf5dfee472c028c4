import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from '../support/fixture.ts';

/** What `npm pack` needs of a checkout. */
const PACKED_FROM =
  'CHANGELOG.md LICENSE README.md bin docker docs package.json recipes scripts src tsconfig.json'.split(' ');

/** Packs the checkout as `npm pack` does, from a copy, since that builds dist/. Returns the path of the tarball. */
export function pack(folder: string): string {
  const copy = join(folder, 'checkout');
  for (const name of PACKED_FROM) cpSync(join(REPOSITORY, name), join(copy, name), { recursive: true });
  symlinkSync(join(REPOSITORY, 'node_modules'), join(copy, 'node_modules'));
  npm(['pack', '--pack-destination', folder], copy);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error('npm pack made no tarball');
  return join(folder, tarball);
}

/** Runs npm quietly; throws with what it printed. */
export function npm(args: readonly string[], cwd: string): void {
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')}: ${stdout}${stderr}`);
}

/**
 * Lays a tarball out as `npm install --global` does, with the checkout's copies of the dependencies: no registry is
 * needed. Returns the path of the command.
 */
export function layOut(tarball: string, prefix: string): string {
  const modules = join(prefix, 'lib', 'node_modules');
  mkdirSync(modules, { recursive: true });
  mkdirSync(join(prefix, 'bin'));
  execFileSync('tar', ['xzf', tarball, '-C', modules]);
  execFileSync('mv', [join(modules, 'package'), join(modules, 'vmbuild')]);
  for (const name of readdirSync(join(REPOSITORY, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(REPOSITORY, 'node_modules', name), join(modules, name));
  }
  symlinkSync('../lib/node_modules/vmbuild/bin/vmbuild', join(prefix, 'bin', 'vmbuild'));
  return join(prefix, 'bin', 'vmbuild');
}

/** A temporary folder of a test file; removed by its afterAll. */
export function packageFolder(): string {
  return mkdtempSync(join(tmpdir(), 'vmbuild-package-'));
}
