import { VmbuildError } from '../model/errors.ts';
import { SANDBOX } from '../model/sandbox.ts';
import { addAlternatives } from './alternatives.ts';
import { DIRECTORY, type ImageTree, refused, textFile } from './imageTree.ts';
import { ALWAYS_LINKED, aliases } from './layout.ts';

/**
 * Does to a tree of packages what their maintainer scripts would have done, as far as builds need it. No script
 * of a package ever runs: this list, with `alternatives.ts`, is all there is (docs/images.md).
 *
 * @throws VmbuildError IMAGE_ASSEMBLY if packages have put something else where a fix-up belongs.
 */
export function applyFixUps(tree: ImageTree): void {
  addAliases(tree);
  addMountPoints(tree);
  addUsers(tree);
  addHostFiles(tree);
  addShells(tree);
  addAlternatives(tree);
  addCertificates(tree);
}

/**
 * The same for an image that others have made: what the sandbox needs of it, and nothing else.
 *
 * @throws VmbuildError IMAGE_ASSEMBLY if something else is where the sandbox mounts.
 */
export function fitToSandbox(tree: ImageTree): void {
  addMountPoints(tree);
  const { uid, gid, workDir, hostname } = SANDBOX;
  const passwd = tree.read('etc/passwd')?.toString().trimEnd();
  // Programs that ask who they are find an answer.
  if (passwd !== undefined && !passwd.split('\n').some((line) => line.split(':')[2] === String(uid))) {
    tree.set('etc/passwd', textFile(`${passwd}\n${hostname}:x:${uid}:${gid}::${workDir}:/bin/sh\n`));
  }
}

function addAliases(tree: ImageTree): void {
  for (const [alias, target] of aliases()) {
    if (!tree.has(target)) {
      if (!ALWAYS_LINKED.has(alias)) continue;
      tree.set(target, DIRECTORY);
    }
    // In the root a relative link works from outside a chroot too; below it, Debian's are absolute.
    tree.set(alias, { type: 'symlink', target: alias.includes('/') ? `/${target}` : target });
  }
}

/** Nothing can be made in a read-only root, so everything that is mounted over exists beforehand. */
function addMountPoints(tree: ImageTree): void {
  const sticky: readonly string[] = SANDBOX.stickyDirectories;
  for (const path of new Set([...SANDBOX.mountPoints, ...sticky])) {
    const found = tree.get(path);
    if (found !== undefined && found.type !== 'directory') {
      throw refused(`/${path} must be a directory, but the image makes it a ${found.type}`);
    }
    tree.set(path, { type: 'directory', sticky: sticky.includes(path) });
  }
}

/** base-passwd's master files, and the user that steps run as. */
function addUsers(tree: ImageTree): void {
  const passwd = tree.read('usr/share/base-passwd/passwd.master')?.toString() ?? 'root:*:0:0:root:/root:/bin/sh\n';
  const group = tree.read('usr/share/base-passwd/group.master')?.toString() ?? 'root:*:0:\nusers:*:100:\n';
  const { uid, gid, workDir, hostname } = SANDBOX;
  if (passwd.split('\n').some((line) => line.split(':')[2] === String(uid))) {
    throw new VmbuildError('IMAGE_ASSEMBLY', `base-passwd already has a user ${uid}`);
  }
  tree.set('etc/passwd', textFile(`${passwd.trimEnd()}\n${hostname}:x:${uid}:${gid}::${workDir}:/bin/sh\n`));
  tree.set('etc/group', textFile(group));
}

function addHostFiles(tree: ImageTree): void {
  const { hostname } = SANDBOX;
  tree.set('etc/hostname', textFile(`${hostname}\n`));
  tree.set('etc/hosts', textFile(`127.0.0.1 localhost ${hostname}\n::1 localhost\n`));
  // There is no network in a sandbox; the file is there because docker mounts its own over it.
  tree.set('etc/resolv.conf', textFile(''));
  const nsswitch = tree.read('usr/share/libc-bin/nsswitch.conf') ?? tree.read('usr/share/base-files/nsswitch.conf');
  if (nsswitch !== undefined && !tree.has('etc/nsswitch.conf')) {
    tree.set('etc/nsswitch.conf', textFile(nsswitch.toString()));
  }
}

function addShells(tree: ImageTree): void {
  const shells = ['sh', 'bash', 'dash'].filter((name) => tree.has(`usr/bin/${name}`));
  tree.set('etc/shells', textFile(shells.map((name) => `/bin/${name}\n/usr/bin/${name}\n`).join('')));
}

/** The bundle that ca-certificates makes: all of Mozilla's certificates, sorted by file name. */
function addCertificates(tree: ImageTree): void {
  const certificates = tree.children('usr/share/ca-certificates/mozilla').filter((path) => path.endsWith('.crt'));
  if (certificates.length === 0) return;
  const bundle = certificates.map((path) => `${tree.read(path)?.toString().trimEnd()}\n`).join('');
  tree.set('etc/ssl/certs/ca-certificates.crt', textFile(bundle));
}
