import { SANDBOX } from '../../model/sandbox.ts';
import type { Axis } from './axis.ts';
import type { Probe } from './probe.ts';

/** The axis shows in one value that a program can ask for. */
const differs =
  (value: keyof Probe) =>
  (usual: Probe, varied: Probe): boolean =>
    usual[value] !== varied[value];

/** What docs/sandbox.md fixes. */
export const HARDENING_AXES: readonly Axis[] = [
  {
    name: 'build-path',
    kind: 'hardening',
    about: 'the working directory is a folder below /build',
    // Without a space: lists in GNU make are parted by spaces, so coreboot, Linux and most of what has a Makefile refuse it.
    vary: () => ({ variations: { workDir: '/build/another/working-directory' } }),
    seen: differs('workDir'),
  },
  {
    name: 'user',
    kind: 'hardening',
    about: 'another user and group',
    vary: () => ({ variations: { ids: { uid: 4711, gid: 4712 } } }),
    seen: differs('ids'),
  },
  {
    name: 'home',
    kind: 'hardening',
    about: 'another HOME',
    vary: () => ({ variations: { environment: { HOME: '/tmp' } } }),
    seen: differs('home'),
  },
  {
    name: 'host-name',
    kind: 'hardening',
    about: 'another host and domain name',
    vary: () => ({ variations: { hostname: 'another-host', domainname: 'another.domain' } }),
    seen: differs('hostNames'),
  },
  {
    name: 'locale',
    kind: 'hardening',
    about: 'the locale C without UTF-8, and another language',
    vary: () => ({ variations: { environment: { LC_ALL: 'C', LANG: 'de_DE.UTF-8', LANGUAGE: 'de' } } }),
    seen: differs('locale'),
  },
  {
    name: 'time-zone',
    kind: 'hardening',
    about: 'a time zone 11:45 hours away',
    vary: () => ({ variations: { environment: { TZ: 'VERIFY-11:45' } } }),
    seen: differs('timeZone'),
  },
  {
    name: 'umask',
    kind: 'hardening',
    about: 'a umask that leaves rights to the user alone',
    vary: () => ({ variations: { umask: 0o077 } }),
    seen: differs('umask'),
  },
  {
    name: 'environment',
    kind: 'hardening',
    about: 'more environment variables, and a longer PATH',
    vary: () => ({
      variations: {
        environment: { VERIFY_VARIABLE: 'set by vmbuild verify', PATH: `${SANDBOX.path}:/verify/bin` },
      },
    }),
    seen: differs('environment'),
  },
  {
    name: 'stdin',
    kind: 'hardening',
    about: 'standard input is a pipe at its end',
    vary: () => ({ variations: { pipedInput: true } }),
    seen: differs('stdin'),
  },
  {
    name: 'rlimits',
    kind: 'hardening',
    about: 'fewer open files, and a smaller stack',
    vary: () => ({ variations: { rlimits: { nofile: 2048, stack: 7 * 1024 * 1024 } } }),
    seen: differs('rlimits'),
  },
];
