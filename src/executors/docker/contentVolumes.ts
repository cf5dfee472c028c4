import { closeSync, lstatSync, openSync, readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { tarHeader, tarPadding, tarTrailer } from '../../formats/tarHeader.ts';
import { inPieces } from '../../io/dockerArchive.ts';
import { listTree, packTree } from '../../io/tree.ts';
import type { Content } from '../../model/buildKey.ts';
import { type Digest, sha256Stream } from '../../model/digest.ts';
import { VmbuildError } from '../../model/errors.ts';
import type { MountedContent } from '../executor.ts';
import { type Daemon, freshName, helperContainer, removeVolume, runLabels } from './daemon.ts';
import { unlessMissing } from './dockerErrors.ts';
import { LABELS } from './labels.ts';

/** A volume that holds all of a content. */
export interface ContentVolume {
  readonly name: string;
  /** Where the volume lies on the daemon's machine. */
  readonly mountpoint: string;
  /** Value of LABELS.content. */
  readonly content: string;
}

/** Name of the one entry of a volume that holds a file: a volume is always a folder. */
export const FILE_NAME = 'content';

/** What a content is called in labels and, with another separator, in names. */
export function contentLabel({ kind, digest }: Content): string {
  return `${kind}:${digest}`;
}

/*
 * How a half-filled volume is never used, with any number of vmbuild processes, on any machines, on one daemon:
 *
 * A volume is filled under a name of its own that nobody else knows, and its digest is computed from the bytes as they
 * are sent. Only then is the *record* created: an empty volume with the fixed name `vmbuild-<kind>-<digest>`, whose
 * label says which volume holds the content. The daemon creates a volume of a given name atomically: creating one that
 * exists changes nothing and gives the existing one, with its own labels. So two who fill at the same time agree on
 * one record, and the loser removes its copy. Labels never change after creation, and a volume in use cannot be
 * removed. Whoever dies before the record exists leaves a volume that no record names; it carries its owner's label,
 * and removeLeftovers removes it.
 *
 * One danger is left: a volume that is pruned between our look and the creation of the step's container would silently
 * be made anew, empty. It would not carry the label of its content; `isIntact` is asked when the container exists, and
 * thus holds the volume, and what is not intact is removed.
 */

/** The volume with this content; filled now if the daemon has none. */
export async function provideVolume(
  daemon: Daemon,
  image: string,
  source: MountedContent,
  step: string,
  signal: AbortSignal,
): Promise<ContentVolume> {
  const known = await findVolume(daemon, source);
  if (known !== undefined) return known;
  // A record that leads nowhere. Should somebody else replace it at this moment, then both copies are whole.
  await removeVolume(daemon.docker.getVolume(recordName(source)));
  const filled = await fillVolume(daemon, image, source, step, signal);
  await daemon.docker.createVolume({
    Name: recordName(source),
    Labels: { [LABELS.content]: contentLabel(source), [LABELS.volume]: filled },
  });
  const volume = await findVolume(daemon, source);
  if (volume?.name !== filled) await removeVolume(daemon.docker.getVolume(filled));
  if (volume !== undefined) return volume;
  throw new VmbuildError('EXECUTOR_FAILED', `the Docker volume ${recordName(source)} is not one that vmbuild made`, {
    step,
    hints: [`Remove it: docker volume rm ${recordName(source)}`],
  });
}

/** True if this volume still is what `provideVolume` found. */
export async function isIntact(daemon: Daemon, volume: ContentVolume): Promise<boolean> {
  const found = await unlessMissing(daemon.docker.getVolume(volume.name).inspect());
  return found?.Labels?.[LABELS.content] === volume.content;
}

/** The name of the volume that the record of a content names, as far as there is one. */
export async function recordedVolume(daemon: Daemon, content: Content): Promise<string | undefined> {
  const record = await unlessMissing(daemon.docker.getVolume(recordName(content)).inspect());
  return record?.Labels?.[LABELS.volume];
}

async function findVolume(daemon: Daemon, content: Content): Promise<ContentVolume | undefined> {
  const name = await recordedVolume(daemon, content);
  if (name === undefined) return undefined;
  const found = await unlessMissing(daemon.docker.getVolume(name).inspect());
  const label = contentLabel(content);
  if (found?.Labels?.[LABELS.content] !== label) return undefined;
  return { name, mountpoint: found.Mountpoint, content: label };
}

function recordName({ kind, digest }: Content): string {
  return `vmbuild-${kind}-${digest}`;
}

/** Fills a new volume and gives its name; leaves nothing if that fails. */
async function fillVolume(
  daemon: Daemon,
  image: string,
  source: MountedContent,
  step: string,
  signal: AbortSignal,
): Promise<string> {
  const name = freshName('content');
  const labels = { ...runLabels(step), [LABELS.content]: contentLabel(source) };
  const volume = daemon.docker.getVolume(name);
  try {
    await daemon.docker.createVolume({ Name: name, Labels: labels });
    const mount = { Type: 'volume', Source: name, Target: '/in', VolumeOptions: { NoCopy: true } } as const;
    {
      await using helper = await helperContainer(daemon, image, step, [mount]);
      const { archive, digest } = contentArchive(source);
      const body = Readable.from(inPieces(archive), { signal });
      body.on('error', () => {}); // it also fails the request, which reports it
      try {
        await helper.container.putArchive(body, { path: '/in', abortSignal: signal });
      } finally {
        body.destroy();
      }
      refuseOther(source, digest());
    }
    signal.throwIfAborted();
    return name;
  } catch (error) {
    await removeVolume(volume).catch(() => {}); // what went wrong first is what counts
    throw error;
  }
}

function refuseOther(source: MountedContent, digest: Digest): void {
  if (digest === source.digest) return;
  throw new VmbuildError('STORE_DAMAGED', `${source.path} has the digest ${digest}, not ${source.digest}`, {
    hints: ['Something changed it in the store: remove it there and realise it again.'],
  });
}

/** The content as an archive, and the digest of what was read, to be asked for when the archive has been read. */
function contentArchive(source: MountedContent): { archive: Iterable<Uint8Array>; digest: () => Digest } {
  const hash = sha256Stream();
  if (source.kind === 'tree') {
    const archive = tapped(packTree(source.path, listTree(source.path)), (piece) => hash.update(piece));
    return { archive, digest: () => hash.digest() };
  }
  return { archive: fileArchive(source.path, (piece) => hash.update(piece)), digest: () => hash.digest() };
}

function* tapped(pieces: Iterable<Uint8Array>, tap: (piece: Uint8Array) => void): Generator<Uint8Array> {
  for (const piece of pieces) {
    tap(piece);
    yield piece;
  }
}

/** An archive of the one file, with the mode that every file source has. */
function* fileArchive(path: string, tap: (piece: Uint8Array) => void): Generator<Uint8Array> {
  const { size } = lstatSync(path);
  const header = tarHeader({ path: FILE_NAME, type: 'file', mode: 0o644, size });
  yield header;
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(256 * 1024);
    for (let left = size; left > 0;) {
      const count = readSync(file, buffer, 0, Math.min(left, buffer.length), null);
      if (count === 0) throw new VmbuildError('STORE_DAMAGED', `${path} became shorter while it was read`);
      left -= count;
      tap(buffer.subarray(0, count));
      yield buffer.subarray(0, count);
    }
  } finally {
    closeSync(file);
  }
  yield tarPadding(size);
  yield tarTrailer(header.length + size + tarPadding(size).length);
}
