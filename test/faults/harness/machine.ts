import { spawnSync } from 'node:child_process';
import { createNamespaceExecutor } from '../../../src/executors/namespace/namespaceExecutor.ts';
import { PROBE_PREFIX } from '../../support/probePrefix.ts';

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

function works(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}
