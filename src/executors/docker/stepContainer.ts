import type Dockerode from 'dockerode';
import { SANDBOX, stepEnvironment } from '../../model/sandbox.ts';
import type { StepRequest } from '../executor.ts';
import { type Daemon, freshName, type Mount, removeVolume, runLabels } from './daemon.ts';
import { imageId } from './image.ts';
import { LABELS } from './labels.ts';
import { limitConfig } from './limits.ts';
import { withPrelude } from './prelude.ts';
import { seccompProfile } from './seccompProfile.ts';

const TMPFS = 'rw,exec,nosuid,nodev,mode=1777';

/**
 * Creates the container in which a step runs. `inputs`: everything that is mounted read-only. Leaves nothing if it
 * fails. The request is never cut off, because the container could then exist without us knowing.
 */
export async function createStepContainer(
  daemon: Daemon,
  request: StepRequest,
  inputs: readonly Mount[],
): Promise<Dockerode.Container> {
  const name = freshName(request.name);
  // Anonymous, so that they go with the container. Docker gives them the owner and mode of the image's mount point.
  const labels = { ...runLabels(request.name), [LABELS.container]: name };
  const onDisk = request.conditions.variations?.buildInMemory === true ? [] : [SANDBOX.workDir];
  const writable = [...onDisk, SANDBOX.outDir].map((target): Mount => {
    return { Type: 'volume', Target: target, VolumeOptions: { Labels: labels } };
  });
  try {
    return await daemon.docker.createContainer(containerOptions(request, name, [...writable, ...inputs]));
  } catch (error) {
    // The daemon may have made volumes for a container that it then refused.
    await removeVolumesOf(daemon, name).catch(() => {}); // what went wrong first is what counts
    throw error;
  }
}

async function removeVolumesOf(daemon: Daemon, container: string): Promise<void> {
  const filters = { label: [`${LABELS.container}=${container}`] };
  const { Volumes } = await daemon.docker.listVolumes({ filters });
  // The daemon says null where there is none.
  for (const { Name } of (Volumes as Dockerode.VolumeInspectInfo[] | null) ?? []) {
    await removeVolume(daemon.docker.getVolume(Name));
  }
}

/** Sandbox version 1 in Docker's words (Docker Engine API v1.41). */
function containerOptions(
  request: StepRequest,
  name: string,
  mounts: readonly Mount[],
): Dockerode.ContainerCreateOptions {
  const { document, conditions } = request;
  const { variations = {} } = conditions;
  const { uid, gid } = variations.ids ?? SANDBOX;
  const rlimits = { ...SANDBOX.rlimits, ...variations.rlimits };
  return {
    name,
    Image: imageId(document.image),
    Labels: runLabels(request.name),
    // As the entry point nothing of the image's own is added to it.
    Entrypoint: [...withPrelude(document.command, variations)],
    Cmd: [],
    Env: exactEnvironment(request),
    User: `${uid}:${gid}`,
    Hostname: variations.hostname ?? SANDBOX.hostname,
    ...(variations.domainname === undefined ? {} : { Domainname: variations.domainname }),
    WorkingDir: SANDBOX.workDir,
    Tty: false,
    OpenStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: 'none',
      // Only an image without an etc/resolv.conf shows it; it is here so that the host's is never shown.
      Dns: ['127.0.0.1'],
      DnsSearch: ['.'],
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges', `seccomp=${seccompProfile(variations.personality)}`],
      MaskedPaths: [...SANDBOX.hiddenInProc.map((name) => `/proc/${name}`), '/sys'],
      // Docker's own list, and what newer kernels let everybody write to.
      ReadonlyPaths: ['bus', 'fs', 'irq', 'pressure', 'sys', 'sysrq-trigger'].map((name) => `/proc/${name}`),
      // The kernel's defaults, which Docker changes.
      Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '1024', 'net.ipv4.ping_group_range': '1 0' },
      IpcMode: 'private',
      ...({ CgroupnsMode: 'private' } satisfies object), // its type lacks it
      // Docker's own /dev/shm is noexec.
      Tmpfs: {
        ...(variations.buildInMemory === true ? { [SANDBOX.workDir]: TMPFS } : {}),
        '/tmp': TMPFS,
        '/dev/shm': `${TMPFS},size=${SANDBOX.shmSize}`,
      },
      Ulimits: Object.entries(rlimits).map(([Name, limit]) => ({ Name, Soft: limit, Hard: limit })),
      ...(variations.cpus === undefined ? {} : { CpusetCpus: variations.cpus.join(',') }),
      ...limitConfig(request.conditions.limits),
      // The output goes to us; the daemon need not keep it on its disk as well.
      LogConfig: { Type: 'none', Config: {} },
      Mounts: mounts as Dockerode.MountSettings[],
    },
  };
}

/**
 * Docker merges HOSTNAME, PATH and the image's variables into the environment. A name without `=` takes a variable out
 * again, so that the step sees exactly the declared ones, whatever the image has, with no program between.
 */
function exactEnvironment({ document, conditions, image }: StepRequest): string[] {
  const environment = stepEnvironment(document, conditions);
  const config = JSON.parse(image.config) as { config?: { Env?: readonly string[] | null } };
  const added = ['HOSTNAME', ...(config.config?.Env ?? []).map((variable) => variable.split('=')[0] as string)];
  const removed = added.filter((name) => !Object.hasOwn(environment, name));
  return [...new Set(removed), ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)];
}
