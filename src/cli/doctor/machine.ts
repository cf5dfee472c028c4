import { availableParallelism, cpus, freemem, release, totalmem, userInfo } from 'node:os';
import { formatBytes } from '../format.ts';
import { type Fact, fact, readSystemFile } from './fact.ts';

/** Memory with which two compilers at once and a link with optimisation have room, bytes. */
const ENOUGH_MEMORY = 4 * 2 ** 30;

/** What of the machine matters to builds. */
export function machineFacts(): readonly Fact[] {
  const { uid, username } = currentUser();
  return [
    fact('system', `${systemName()}, Linux ${release()} on ${process.arch}`),
    fact('user', `${username} (${uid})`),
    fact('Node', `${process.version}, ${process.execPath}`),
    coresFact(),
    fact(
      'memory',
      `${formatBytes(totalmem())}, of which ${formatBytes(freemem())} free`,
      totalmem() < ENOUGH_MEMORY
        ? 'Little for a compiler on each core: --jobs 1 --cores 1 needs the least.'
        : undefined,
    ),
    ...SWITCHES.flatMap((path) => {
      const value = readSystemFile(`/proc/sys/${path}`);
      return value === undefined ? [] : [fact(path.replaceAll('/', '.'), value)];
    }),
    fact('control groups', controlGroups()),
  ];
}

/** What distributions forbid user namespaces with. A value that forbids them comes with advice, from the executor's probe. */
const SWITCHES = [
  'user/max_user_namespaces',
  'kernel/unprivileged_userns_clone',
  'kernel/apparmor_restrict_unprivileged_userns',
] as const;

/** A container's user may have no name. */
function currentUser(): { readonly uid: number; readonly username: string } {
  try {
    return userInfo();
  } catch {
    return { uid: process.getuid?.() ?? -1, username: 'without a name' };
  }
}

/** os-release(5). */
function systemName(): string {
  const text = readSystemFile('/etc/os-release') ?? readSystemFile('/usr/lib/os-release') ?? '';
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1] ?? 'an unknown distribution';
}

function coresFact(): Fact {
  const usable = availableParallelism();
  const all = cpus().length;
  return fact('cores', usable === all ? String(all) : `${usable} of ${all} may be used`);
}

function controlGroups(): string {
  const mounts = (readSystemFile('/proc/self/mountinfo') ?? '').split('\n');
  const isMounted = (type: string): boolean => mounts.some((line) => line.includes(` - ${type} `));
  const versions = [...(isMounted('cgroup') ? ['1'] : []), ...(isMounted('cgroup2') ? ['2'] : [])];
  return versions.length === 0 ? 'none mounted' : `version ${versions.join(' and ')}`;
}
