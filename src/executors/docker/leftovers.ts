import type Dockerode from 'dockerode';
import type { Content } from '../../model/buildKey.ts';
import { isDigest } from '../../model/digest.ts';
import { recordedVolume } from './contentVolumes.ts';
import { type Daemon, removeContainer, removeVolume } from './daemon.ts';
import { isGone, LABELS } from './labels.ts';

/** How much was removed. */
export interface Removed {
  readonly containers: number;
  readonly volumes: number;
}

/**
 * Removes what vmbuild processes of this machine left behind when they were killed: containers, and volumes that no
 * record of finished content names. What belongs to a process that is alive, or to another machine or boot, stays.
 */
export async function removeLeftovers(daemon: Daemon): Promise<Removed> {
  const removed = { containers: 0, volumes: 0 };
  const filters = { label: [LABELS.run] };
  for (const { Id, Labels } of await daemon.docker.listContainers({ all: true, filters })) {
    if (!isGone(Labels[LABELS.run] ?? '')) continue;
    await removeContainer(daemon.docker.getContainer(Id));
    removed.containers += 1;
  }
  const { Volumes } = await daemon.docker.listVolumes({ filters: { label: [LABELS.run] } });
  // The daemon says null where there is none.
  for (const volume of (Volumes as Dockerode.VolumeInspectInfo[] | null) ?? []) {
    if (!isGone(volume.Labels[LABELS.run] ?? '') || (await isRecorded(daemon, volume))) continue;
    if (await removeVolume(daemon.docker.getVolume(volume.Name))) removed.volumes += 1;
  }
  return removed;
}

async function isRecorded(daemon: Daemon, volume: Dockerode.VolumeInspectInfo): Promise<boolean> {
  const content = parseContent(volume.Labels[LABELS.content]);
  return content !== undefined && (await recordedVolume(daemon, content)) === volume.Name;
}

function parseContent(label: string | undefined): Content | undefined {
  const [kind, digest = ''] = (label ?? '').split(':');
  return (kind === 'tree' || kind === 'file') && isDigest(digest) ? { kind, digest } : undefined;
}
