import { randomUUID } from 'node:crypto';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type Dockerode from 'dockerode';
import { extract } from 'tar-stream';
import { temporaryFolder } from '../../io/files.ts';
import { type Daemon, helperContainer } from './daemon.ts';
import { statusOf } from './dockerErrors.ts';

/** The file systems whose paths mean the same to the daemon as to us, as device numbers (st_dev). */
export type SharedDevices = ReadonlySet<number>;

/**
 * Finds out whether the daemon sees the files of this machine: a file with a random name and content is written into
 * `folder`, and asked for through a container that bind-mounts it. A socket proves nothing: it may lead into a virtual
 * machine, another container or, over SSH, to another host. The proof holds for the file system of `folder`.
 *
 * A daemon that maps user ids (userns-remap, rootless) would show other owners through a bind mount than in a volume,
 * so it counts as not local.
 */
export async function provenDevices(
  daemon: Daemon,
  image: string,
  step: string,
  folder: string,
): Promise<SharedDevices> {
  const { SecurityOptions } = (await daemon.docker.info()) as { SecurityOptions: readonly string[] | null };
  if (SecurityOptions?.some((option) => /name=(userns|rootless)/.test(option))) return new Set();
  await using nonce = await temporaryFolder(folder, 'nonce-');
  const name = randomUUID();
  const secret = randomUUID();
  await writeFile(join(nonce.path, name), secret);
  return (await readThrough(daemon, image, step, nonce.path, name)) === secret
    ? new Set([(await stat(nonce.path)).dev])
    : new Set();
}

async function readThrough(
  daemon: Daemon,
  image: string,
  step: string,
  folder: string,
  name: string,
): Promise<string | undefined> {
  const mount = { Type: 'bind', Source: folder, Target: '/in', ReadOnly: true } as const;
  try {
    await using helper = await helperContainer(daemon, image, step, [mount]);
    return await firstFile(helper.container, `/in/${name}`);
  } catch (error) {
    // 400: the daemon knows no such folder. 404: another folder of this name. 403, 500: a policy against bind mounts.
    if (statusOf(error) !== undefined) return undefined;
    throw error;
  }
}

async function firstFile(container: Dockerode.Container, path: string): Promise<string> {
  const entries = extract();
  const fed = pipeline(await container.getArchive({ path }), entries as unknown as NodeJS.WritableStream);
  fed.catch(() => {}); // it also ends the iteration
  let text = '';
  for await (const entry of entries) {
    for await (const chunk of entry as AsyncIterable<Uint8Array>) text += Buffer.from(chunk).toString();
  }
  return text;
}
