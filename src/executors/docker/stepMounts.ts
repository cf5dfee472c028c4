import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../../model/digest.ts';
import { systemErrorCode } from '../../model/errors.ts';
import { SANDBOX } from '../../model/sandbox.ts';
import type { MountedContent, StepRequest } from '../executor.ts';
import { type ContentVolume, FILE_NAME } from './contentVolumes.ts';
import type { Mount } from './daemon.ts';
import type { SharedDevices } from './localDaemon.ts';

/** What a step sees mounted, and the volumes that must be intact for it to be right. */
export interface StepMounts {
  readonly mounts: readonly Mount[];
  readonly volumes: readonly ContentVolume[];
}

/** Files that Docker writes itself, from the host's, and lays over those of the image. A mount of ours wins. */
const NETWORK_FILES = ['etc/hostname', 'etc/hosts', 'etc/resolv.conf'];

/**
 * Decides how each content reaches the container: by bind mount where the daemon is known to see the same file and
 * the file looks the same as it would in a volume, else by a volume.
 */
export async function stepMounts(
  request: StepRequest,
  shared: SharedDevices,
  provideVolume: (source: MountedContent) => Promise<ContentVolume>,
): Promise<StepMounts> {
  const mounts: Mount[] = [];
  const volumes: ContentVolume[] = [];
  for (const [target, source] of await contents(request)) {
    if (await looksTheSame(source, shared)) {
      mounts.push(bind(source.path, target, 'rprivate'));
      continue;
    }
    const volume = await provideVolume(source);
    volumes.push(volume);
    // A volume is a folder. Engine API 1.41 cannot mount a part of one, but where it lies on the daemon's machine is
    // a path that the daemon can bind-mount, wherever that machine is.
    if (source.kind === 'file') mounts.push(bind(`${volume.mountpoint}/${FILE_NAME}`, target, 'rslave'));
    else
      mounts.push({
        Type: 'volume',
        Source: volume.name,
        Target: target,
        ReadOnly: true,
        VolumeOptions: { NoCopy: true },
      });
  }
  return { mounts, volumes };
}

/** Below its own data root the daemon takes no `rprivate`, lest it cannot unmount what lies there. */
function bind(source: string, target: string, propagation: 'rprivate' | 'rslave'): Mount {
  return { Type: 'bind', Source: source, Target: target, ReadOnly: true, BindOptions: { Propagation: propagation } };
}

async function contents(request: StepRequest): Promise<[string, MountedContent][]> {
  const { document, inputs, image, conditions } = request;
  const list: [string, MountedContent][] = [
    [SANDBOX.recipeDir, { kind: 'tree', digest: document.recipe, path: request.recipe }],
  ];
  for (const [name, source] of Object.entries(inputs)) list.push([`${SANDBOX.inputDir}/${name}`, source]);
  for (const path of NETWORK_FILES) {
    const source = await imageFile(join(image.rootfs, path));
    if (source !== undefined) list.push([`/${path}`, source]);
  }
  const { files = {}, cpuinfo } = conditions.variations ?? {};
  for (const [name, path] of Object.entries(files)) list.push([`/dev/${name}`, await fileContent(path)]);
  // One of the few names below /proc that runc allows a mount on.
  if (cpuinfo !== undefined) list.push(['/proc/cpuinfo', await fileContent(cpuinfo)]);
  return list;
}

async function fileContent(path: string): Promise<MountedContent> {
  return { kind: 'file', digest: sha256(await readFile(path)), path };
}

async function imageFile(path: string): Promise<MountedContent | undefined> {
  try {
    return (await lstat(path)).isFile() ? await fileContent(path) : undefined;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** True if a bind mount of it is possible and shows the owner and mode that a volume shows. */
async function looksTheSame(source: MountedContent, shared: SharedDevices): Promise<boolean> {
  const found = await lstat(source.path);
  const mode = source.kind === 'tree' ? 0o755 : 0o644;
  return shared.has(found.dev) && found.uid === 0 && found.gid === 0 && (found.mode & 0o7777) === mode;
}
