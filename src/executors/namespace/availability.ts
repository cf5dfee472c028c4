import { readFileSync } from 'node:fs';
import { errorMessage, VmbuildError } from '../../model/errors.ts';
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
    forbids: (value: number) => value < 1,
    hint: 'sudo sysctl user.max_user_namespaces=10000',
  },
  {
    file: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    forbids: (value: number) => value === 1,
    hint: 'sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0',
  },
] as const;

/** Finds out why namespaces do not work here; `error` is what the attempt threw or said. */
export function explainUnavailable(error: unknown): Availability {
  if (error instanceof VmbuildError) return { available: false, reason: error.message, hints: error.hints };
  const hints = SWITCHES.flatMap(({ file, forbids, hint }) => {
    const value = readNumber(file);
    return value === undefined || !forbids(value)
      ? []
      : [`user namespaces are switched off (${file} is ${value}): ${hint}`];
  });
  if (hints.length === 0) {
    hints.push('This is often so inside a container: start it with --privileged, or run vmbuild outside of it.');
  }
  return { available: false, reason: `the sandbox cannot be set up: ${errorMessage(error)}`, hints };
}

function readNumber(file: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(file, 'utf8'), 10);
  } catch {
    return undefined; // a kernel without this switch
  }
}
