import { randomUUID } from 'node:crypto';
import type Dockerode from 'dockerode';
import { statusOf } from './dockerErrors.ts';
import { LABELS, ownRun } from './labels.ts';

/** A connection to a daemon, and how this process names what it makes there. */
export interface Daemon {
  readonly docker: Dockerode;
  /** The value of DOCKER_HOST, or of the option that replaces it; undefined means the default socket. */
  readonly host: string | undefined;
}

/**
 * Connects as dockerode does: DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, else the default socket. dockerode
 * is loaded here and not with the program, because that takes 158 ms. Nothing is sent yet.
 */
export async function connect(socketPath: string | undefined): Promise<Daemon> {
  const { default: Docker } = await import('dockerode');
  if (socketPath === undefined) return { docker: new Docker(), host: process.env['DOCKER_HOST'] || undefined };
  return { docker: new Docker({ socketPath }), host: `unix://${socketPath}` };
}

/** Labels for what must not outlive this process. */
export function runLabels(step: string): Record<string, string> {
  return { [LABELS.run]: ownRun(), [LABELS.step]: step };
}

/** A name that nothing else in the daemon has; `what` is for people, and reduced to the letters that Docker allows. */
export function freshName(what: string): string {
  return `vmbuild-${what.replaceAll(/[^a-zA-Z0-9_.-]/g, '_').slice(0, 80)}-${randomUUID()}`;
}

/** A mount of Docker Engine API v1.41, type Mount, reduced to what is used here. A volume without Source is anonymous. */
export interface Mount {
  readonly Type: 'bind' | 'volume';
  readonly Source?: string;
  readonly Target: string;
  readonly ReadOnly?: boolean;
  readonly BindOptions?: { readonly Propagation: 'rprivate' | 'rslave' };
  readonly VolumeOptions?: { readonly NoCopy?: boolean; readonly Labels?: Readonly<Record<string, string>> };
}

/**
 * Creates a container that is never started: a handle through which archives go into its volumes and out of them. It
 * is removed when the scope ends. The request is never cut off, because the container could then exist without us
 * knowing; it takes some ten milliseconds.
 */
export async function helperContainer(
  daemon: Daemon,
  image: string,
  step: string,
  mounts: readonly Mount[],
): Promise<AsyncDisposable & { readonly container: Dockerode.Container }> {
  const container = await daemon.docker.createContainer({
    name: freshName('helper'),
    Image: image,
    Entrypoint: ['vmbuild-never-started'],
    Labels: runLabels(step),
    HostConfig: { NetworkMode: 'none', Mounts: mounts as Dockerode.MountSettings[] },
  });
  return { container, [Symbol.asyncDispose]: () => removeContainer(container) };
}

/** Kills and removes a container with its anonymous volumes, and comes back when it is gone. */
export async function removeContainer(container: Dockerode.Container): Promise<void> {
  await persistently(() => container.remove({ force: true, v: true }));
}

/** Removes a volume if it is there and nothing uses it; true if it is gone. */
export async function removeVolume(volume: Dockerode.Volume): Promise<boolean> {
  try {
    await volume.remove();
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return true;
    if (statusOf(error) === 409) return false;
    throw error;
  }
}

/**
 * Removal fails now and then because a mount is still busy, or because somebody else is removing the same thing (409).
 * What cannot be removed after some tries is left to `removeLeftovers`: everything carries its owner's label.
 */
async function persistently(remove: () => Promise<unknown>): Promise<void> {
  for (let pause = 50; pause <= 1600; pause *= 2) {
    try {
      await remove();
      return;
    } catch (error) {
      const status = statusOf(error);
      if (status === 404 || status === undefined) return; // gone, or the daemon is
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
