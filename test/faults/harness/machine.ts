import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { createNamespaceExecutor } from '../../../src/executors/namespace/namespaceExecutor.ts';
import { daemonAnswers } from '../../executors/docker/harness.ts';
import { PROBE_PREFIX } from '../../support/probePrefix.ts';
import { MemoryGroup } from './memory.ts';

const availability = await createNamespaceExecutor().probe(PROBE_PREFIX);

/** Why something cannot be tried on this machine; undefined if it can. It goes into the title of what is skipped. */
export type Lack = string | undefined;

/** The namespace executor, which most scenarios use. */
export const lacksNamespaces: Lack = availability.available ? undefined : availability.reason;

/** strace(1), which may be there and not be allowed to trace. */
export const lacksStrace: Lack = works('strace', '--follow-forks', '--output=/dev/null', 'true')
  ? undefined
  : 'strace is missing or may not trace: scripts/install-test-tools.sh';

/** A mount namespace of one's own, entered from outside. */
export const lacksMounts: Lack = works(
  'unshare',
  '--user',
  '--map-root-user',
  '--mount',
  'mount',
  '-t',
  'tmpfs',
  'none',
  '/mnt',
)
  ? undefined
  : 'file systems cannot be mounted here, not even in a namespace';

/** libfaketime, preloaded: processes see another clock, also if it is set while they run. */
export const FAKETIME: string | undefined = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1')[0];
export const lacksFaketime: Lack =
  FAKETIME === undefined ? 'libfaketime is missing: scripts/install-test-tools.sh' : undefined;

/** A control group of one's own with a limit of memory. */
export const lacksMemoryGroups: Lack = MemoryGroup.make(64 * 1024 * 1024)?.remove()
  ? undefined
  : 'control groups cannot be made here';

/** A daemon that may be used as it is. */
export const lacksDocker: Lack = (await daemonAnswers()) ? undefined : 'no Docker daemon: scripts/docker.sh start';

/** A daemon that may be ended. */
export const lacksOwnDocker: Lack =
  process.getuid?.() === 0 && works('dockerd', '--version') ? undefined : 'only root with dockerd can start a daemon';

function works(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}
