import { Readable } from 'node:stream';
import { dockerArchive } from '../../io/dockerArchive.ts';
import { type Digest, sha256, shortDigest } from '../../model/digest.ts';
import { VmbuildError } from '../../model/errors.ts';
import type { StepRequest } from '../executor.ts';
import type { Daemon } from './daemon.ts';
import { daemonMessage, unlessMissing } from './dockerErrors.ts';

/** The id under which a daemon knows the image whose OCI config has this digest. */
export function imageId(digest: Digest): string {
  return `sha256:${digest}`;
}

/**
 * Sees to it that the daemon has the image, and loads it if not. That the id is the digest of the config, and that the
 * daemon checks every layer against the config, makes it the right one.
 *
 * @throws VmbuildError IMAGE_MISMATCH if root, config and digest do not belong together.
 */
export async function provideImage(
  daemon: Daemon,
  image: StepRequest['image'],
  digest: Digest,
  signal: AbortSignal,
): Promise<void> {
  const id = imageId(digest);
  if (sha256(image.config) !== digest) {
    throw mismatch(digest, `its config has the digest ${sha256(image.config)}`);
  }
  refuseVolumes(image.config, digest);
  if ((await unlessMissing(daemon.docker.getImage(id).inspect())) !== undefined) return;
  const refusal = await load(daemon, image, digest, signal);
  if (refusal !== undefined) throw mismatch(digest, `the Docker daemon refused it: ${refusal}`);
  const loaded = await unlessMissing(daemon.docker.getImage(id).inspect());
  if (loaded?.Id !== id) {
    throw new VmbuildError(
      'EXECUTOR_FAILED',
      `the Docker daemon loaded image ${shortDigest(digest)} under another id`,
      {
        hints: [
          'A daemon with the containerd image store does that: turn it off ("containerd-snapshotter": false in daemon.json).',
        ],
      },
    );
  }
}

/** The daemon's complaint, or undefined if it took the image. */
async function load(
  daemon: Daemon,
  image: StepRequest['image'],
  digest: Digest,
  signal: AbortSignal,
): Promise<string | undefined> {
  // The tag is for people, and keeps the image from `docker image prune`.
  const archive = Readable.from(dockerArchive({ ...image, tags: [`vmbuild:${digest}`] }), { signal });
  archive.on('error', () => {}); // it also fails the request, which reports it
  try {
    const answer = await daemon.docker.loadImage(archive, { quiet: true, abortSignal: signal });
    let text = '';
    for await (const chunk of answer) text += String(chunk);
    // One JSON document per line; the status is 200 even if one of them is an error.
    for (const line of text.split('\n').filter((line) => line.trim() !== '')) {
      const { error } = JSON.parse(line) as { error?: string };
      if (error !== undefined) return error;
    }
    return undefined;
  } catch (error) {
    if (/diffID|diff id/i.test(daemonMessage(error))) return daemonMessage(error);
    throw error;
  } finally {
    archive.destroy();
  }
}

/** Docker gives every volume that an image declares a writable folder: a hole in the read-only root. */
function refuseVolumes(config: string, digest: Digest): void {
  const volumes = Object.keys((JSON.parse(config) as { config?: { Volumes?: object } }).config?.Volumes ?? {});
  if (volumes.length === 0) return;
  throw new VmbuildError(
    'EXECUTOR_FAILED',
    `image ${shortDigest(digest)} declares volumes (${volumes.join(', ')}), which Docker would make writable`,
    { hints: ['Use an image without VOLUME, or `--executor namespace`.'] },
  );
}

function mismatch(digest: Digest, why: string): VmbuildError {
  return new VmbuildError('IMAGE_MISMATCH', `image ${digest} is not what it should be: ${why}`, {
    hints: ['Remove it from the store and assemble it again.'],
  });
}
