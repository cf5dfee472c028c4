import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { assembleImage } from '../../../src/images/assemble.ts';
import { formatImageLock, sealLock } from '../../../src/images/lockFile.ts';
import type { Digest } from '../../../src/model/digest.ts';
import { copyProgram, makeTinyImage } from '../../executors/docker/tinyImage.ts';
import { debFolder, type TestEntry, writeDeb } from '../../images/debBuilder.ts';

/** Name of the image that all recipes of the harness use. */
export const IMAGE = 'tiny';

/**
 * Writes an image of two small packages, made of programs of this machine, to `<folder>/docker` and the packages to
 * `<folder>/debs`, where `--source-dir` finds them. So a scenario can begin with nothing, needs no network, and takes
 * the same way as a real image: packages fetched, unpacked, merged, composed.
 */
export async function writeImage(folder: string): Promise<Digest> {
  const scratch = mkdtempSync(join(tmpdir(), 'vmbuild-faults-image-'));
  try {
    const { rootfs } = makeTinyImage(scratch);
    // The namespace executor takes the image's perl where the machine lacks one of these.
    if (!isHere('ip') || !isHere('hostname')) copyProgram('perl', rootfs);
    const entries = entriesOf(rootfs);
    const isShell = ({ name }: TestEntry): boolean => name.startsWith('./usr/bin/bash');
    const packages = join(folder, 'debs');
    const debs = [
      await writeDeb(packages, { name: 'shell', entries: entries.filter(isShell) }),
      await writeDeb(packages, { name: 'tools', entries: entries.filter((entry) => !isShell(entry)) }),
    ];
    const assembled = join(scratch, 'assembled');
    await mkdir(assembled);
    const { digest } = await assembleImage({ debs }, { partPath: debFolder(packages), scratch: assembled });
    const description = { suite: 'bookworm', components: ['main'], packages: debs.map(({ name }) => name) };
    const index = { inRelease: { sha256: digest, date: '2026-01-01T00:00:00Z' }, snapshot: '20260101T000000Z' };
    const contents = { ...description, architecture: 'amd64' as const, index: { ...index, packages: [] }, debs };
    const image = join(folder, 'docker', IMAGE);
    await mkdir(image, { recursive: true });
    await writeFile(join(image, 'image.json'), JSON.stringify(description));
    await writeFile(join(image, 'lock.json'), formatImageLock(sealLock(contents, digest)));
    return digest;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function isHere(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

/** The files and links of a root as entries of a package; the assembler makes the directories that it needs. */
function entriesOf(root: string, folder = '.'): TestEntry[] {
  return readdirSync(join(root, folder))
    .sort()
    .flatMap((name): TestEntry[] => {
      const path = `${folder}/${name}`;
      const stat = lstatSync(join(root, path));
      if (stat.isDirectory()) return entriesOf(root, path);
      // What the assembler makes itself.
      if (stat.isSymbolicLink() && folder === '.') return [];
      if (folder === './etc') return [];
      if (stat.isSymbolicLink()) {
        return [{ name: path, type: 'symlink', target: readlinkSync(join(root, path)) }];
      }
      return [{ name: path, content: readFileSync(join(root, path)), mode: stat.mode & 0o777 }];
    });
}
