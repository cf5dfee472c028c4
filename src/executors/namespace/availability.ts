import { existsSync, readFileSync } from 'node:fs';
import type { Availability } from '../executor.ts';

/** Switches with which distributions forbid user namespaces to ordinary users, and how to allow them. */
const SWITCHES = [
  {
    file: '/proc/sys/kernel/unprivileged_userns_clone',
    forbids: (value: number) => value === 0,
    hint: 'sudo sysctl kernel.unprivileged_userns_clone=1',
  },
  {
    file: '/proc/sys/user/max_user_namespaces',
    forbids: (value: number) => value < 2,
    hint: 'sudo sysctl user.max_user_namespaces=10000',
  },
  {
    file: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    forbids: (value: number) => value === 1,
    hint: 'sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0',
  },
] as const;

/** Programs of Debian's util-linux and mount packages that the executor starts. */
const PROGRAMS = [
  { name: 'unshare', package: 'util-linux' },
  { name: 'setpriv', package: 'util-linux' },
  { name: 'mount', package: 'mount' },
] as const;

/** Finds out why namespaces do not work here; `message` is what the attempt printed. */
export function explainUnavailable(message: string): Availability {
  const hints: string[] = [];
  for (const program of PROGRAMS) {
    if (!['/usr/bin', '/bin', '/usr/sbin', '/sbin'].some((folder) => existsSync(`${folder}/${program.name}`))) {
      hints.push(`${program.name} is missing: sudo apt-get install ${program.package}`);
    }
  }
  for (const { file, forbids, hint } of SWITCHES) {
    const value = readNumber(file);
    if (value !== undefined && forbids(value))
      hints.push(`user namespaces are switched off (${file} is ${value}): ${hint}`);
  }
  if (hints.length === 0) {
    hints.push('This is often so inside a container: start it with --privileged, or run vmbuild outside of it.');
  }
  return { available: false, reason: `namespaces cannot be made: ${message || 'no message'}`, hints };
}

function readNumber(file: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(file, 'utf8'), 10);
  } catch {
    return undefined; // a kernel without this switch
  }
}
