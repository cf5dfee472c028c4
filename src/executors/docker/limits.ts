import type Dockerode from 'dockerode';
import type { Limits } from '../../model/limits.ts';
import type { LimitSupport, LimitTable } from '../executor.ts';
import type { Meter, Usage } from '../watch.ts';

/** What `GET /info` says of limits (Docker Engine API v1.41). */
export interface DaemonLimits {
  readonly MemoryLimit?: boolean;
  readonly SwapLimit?: boolean;
  readonly PidsLimit?: boolean;
  /** `none` where the daemon may not make control groups: rootless, without delegation. */
  readonly CgroupDriver?: string;
  readonly CgroupVersion?: string;
}

/** How a daemon keeps each limit. */
export function limitTable(info: DaemonLimits): LimitTable {
  const exactly = (how: string): LimitSupport => ({ kept: 'exactly', how });
  const group = `control group, version ${info.CgroupVersion ?? '1'}`;
  const unless = (missing: boolean, support: LimitSupport): LimitSupport =>
    missing || info.CgroupDriver === 'none'
      ? { kept: 'no', how: 'the Docker daemon cannot make control groups for it' }
      : support;
  return {
    wall: exactly('a timer'),
    silence: exactly('a timer'),
    cpu: unless(false, { kept: 'sampled', how: `${group}: the kernel counts, and the daemon is asked` }),
    memory: unless(
      info.MemoryLimit === false,
      exactly(
        `${group}: the kernel ends what goes beyond${info.SwapLimit === false ? ', but swap does not count' : ''}`,
      ),
    ),
    pids: unless(info.PidsLimit === false, {
      kept: 'sampled',
      how: `${group}: the daemon is asked; more than one beyond it the kernel refuses`,
    }),
    log: exactly('what is printed is counted'),
    output: exactly('sizes are added up before anything is stored'),
  };
}

/**
 * Limits in the words of a container's HostConfig. MemorySwap is memory and swap together. One process more than the limit
 * is let in, so that a step which has as many as it may is told from one that wants more.
 */
export function limitConfig({ memory, pids }: Limits): Dockerode.HostConfig {
  return {
    ...(memory !== undefined && { Memory: memory, MemorySwap: memory }),
    ...(pids !== undefined && { PidsLimit: pids + 1 }),
  };
}

/** The fields of `GET /containers/{id}/stats` that are used here. They are empty before and after the container runs. */
interface Stats {
  readonly cpu_stats?: { readonly cpu_usage?: { /** Nanoseconds. */ readonly total_usage?: number } };
  readonly pids_stats?: { readonly current?: number };
}

/** A meter of a container, if one of its limits needs it. */
export function containerMeter(container: Dockerode.Container, limits: Limits): Meter | undefined {
  if (limits.cpu === undefined && limits.pids === undefined) return undefined;
  return async (): Promise<Usage> => {
    // one-shot: without it the daemon takes a second to compare two readings.
    const { cpu_stats, pids_stats } = (await container.stats({ stream: false, 'one-shot': true })) as unknown as Stats;
    return { cpu: (cpu_stats?.cpu_usage?.total_usage ?? 0) / 1e9, pids: pids_stats?.current };
  };
}
