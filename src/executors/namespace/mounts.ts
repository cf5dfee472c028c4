import { SANDBOX } from '../../model/sandbox.ts';
import type { Variations } from '../../model/variations.ts';
import type { MountedContent } from '../executor.ts';

/** What a sandbox is put together from; all paths are absolute on this machine. */
export interface SandboxParts {
  readonly rootfs: string;
  readonly recipe: string;
  readonly inputs: Readonly<Record<string, MountedContent>>;
  readonly build: string;
  readonly out: string;
  readonly variations: Variations;
}

/** One action of mount_root in enter.pl: what to do, where below the new root, and two details that depend on it. */
export type MountAction = readonly [verb: string, target: string, detail: string, access: string];

/** The mounts of a sandbox, in the order in which they are made. */
export function mountActions(parts: SandboxParts): MountAction[] {
  const { inputDir, recipeDir, workDir, outDir, devices, shmSize, hiddenInProc } = SANDBOX;
  const readonly = (source: string, target: string): MountAction => ['bind', target, source, 'readonly'];
  const writable = (source: string, target: string): MountAction => ['bind', target, source, 'writable'];
  const { files = {}, cpuinfo, buildInMemory } = parts.variations;
  const inputs = Object.entries(parts.inputs).map(([name, content]) => ({ ...content, point: `${inputDir}/${name}` }));
  return [
    readonly(parts.rootfs, ''),
    readonly(parts.recipe, recipeDir),
    ['tmpfs', inputDir, 'mode=755', ''],
    ...inputs.map(({ kind, point }): MountAction => [kind === 'tree' ? 'folder' : 'file', point, '', '']),
    ['readonly', inputDir, '', ''],
    ...inputs.map(({ path, point }) => readonly(path, point)),
    buildInMemory === true ? ['tmpfs', workDir, 'mode=1777', ''] : writable(parts.build, workDir),
    writable(parts.out, outDir),
    ['tmpfs', '/tmp', 'mode=1777', ''],
    ['tmpfs', '/dev', 'mode=755', ''],
    ...[...devices, ...Object.keys(files)].map((name): MountAction => ['file', `/dev/${name}`, '', '']),
    ['folder', '/dev/shm', '', ''],
    ['link', '/dev/fd', '/proc/self/fd', ''],
    ...['stdin', 'stdout', 'stderr'].map((name, n): MountAction => ['link', `/dev/${name}`, `/proc/self/fd/${n}`, '']),
    ['readonly', '/dev', '', ''],
    ...devices.map((name): MountAction => ['bind', `/dev/${name}`, `/dev/${name}`, 'device']),
    ...Object.entries(files).map(([name, path]) => readonly(path, `/dev/${name}`)),
    ['tmpfs', '/dev/shm', `mode=1777,size=${shmSize}`, ''],
    ['hide', '/sys', '', ''],
    ['proc', '/proc', '', ''],
    // As Docker has it where a container has no network.
    ['set', '/proc/sys/net/ipv6/conf/all/disable_ipv6', '1', ''],
    // No user namespace below this one, whatever the filter of system calls lets through.
    ['write', '/proc/sys/user/max_user_namespaces', '0', ''],
    ...hiddenInProc.map((name): MountAction => ['hide', `/proc/${name}`, '/dev/null', '']),
    ...(cpuinfo === undefined ? [] : [readonly(cpuinfo, '/proc/cpuinfo')]),
    // To the kernel's settings below /proc a step of root is root, whatever id it sees.
    ['readonly', '/proc', 'noexec', ''],
  ];
}
