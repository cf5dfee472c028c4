import { readFileSync } from 'node:fs';
import { SANDBOX } from '../../model/sandbox.ts';

/** A mount in the order in which it is made. */
interface Mount {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** What the sandbox of one step is put together from; all paths are absolute on this machine. */
export interface SandboxPaths {
  readonly rootfs: string;
  /** Empty folder that the root is mounted on. */
  readonly root: string;
  readonly recipe: string;
  /** Folder with an empty mount point for each input. */
  readonly inputPoints: string;
  readonly inputs: Readonly<Record<string, string>>;
  readonly build: string;
  readonly out: string;
  /** Folder with empty mount points for the device nodes. */
  readonly dev: string;
}

/**
 * The mounts of a sandbox as an fstab(5), so that one mount(8) makes them all: starting a process for each costs
 * more than the mounts themselves.
 */
export function mountTable(paths: SandboxPaths): string {
  const { root } = paths;
  const flags = mountFlagReader();
  const bind = (source: string, target: string, ...options: string[]): Mount => ({
    source,
    target,
    type: 'none',
    options: ['bind', ...options, ...flags(source)],
  });
  const mounts: Mount[] = [
    bind(paths.rootfs, root, 'ro'),
    bind(paths.recipe, `${root}${SANDBOX.recipeDir}`, 'ro'),
    bind(paths.inputPoints, `${root}${SANDBOX.inputDir}`, 'ro'),
    ...Object.entries(paths.inputs).map(([name, path]) => bind(path, `${root}${SANDBOX.inputDir}/${name}`, 'ro')),
    bind(paths.build, `${root}${SANDBOX.workDir}`),
    bind(paths.out, `${root}${SANDBOX.outDir}`),
    { source: 'tmpfs', target: `${root}/tmp`, type: 'tmpfs', options: ['mode=1777', 'nosuid', 'nodev'] },
    bind(paths.dev, `${root}/dev`, 'ro'),
    ...SANDBOX.devices.map((name) => bind(`/dev/${name}`, `${root}/dev/${name}`)),
    {
      source: 'tmpfs',
      target: `${root}/dev/shm`,
      type: 'tmpfs',
      options: ['mode=1777', 'nosuid', 'nodev', `size=${SANDBOX.shmSize}`],
    },
    // Read-only: to the kernel's settings below /proc, a step of root is root, whatever id it sees.
    { source: 'proc', target: `${root}/proc`, type: 'proc', options: ['ro', 'nosuid', 'nodev', 'noexec'] },
  ];
  return mounts
    .map(({ source, target, type, options }) =>
      [escape(source), escape(target), type, options.join(','), '0', '0'].join(' '),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** fstab(5) separates fields by white space and escapes it in octal. */
function escape(path: string): string {
  return path.replace(/[\\ \t\n#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/**
 * Inside a user namespace the kernel refuses to remount a bind mount read-only if that would drop
 * nosuid, nodev or noexec of the mount it came from (mount_namespaces(7), "locked"), so these are repeated.
 */
function mountFlagReader(): (path: string) => string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.split(' ');
      return { point: unescape(fields[4] ?? '/'), flags: (fields[5] ?? '').split(',') };
    });
  return (path) => {
    let best: { point: string; flags: string[] } | undefined;
    for (const mount of mounts) {
      const inside = mount.point === '/' || path === mount.point || path.startsWith(`${mount.point}/`);
      // Of two mounts on one point the later one is on top.
      if (inside && (best === undefined || mount.point.length >= best.point.length)) best = mount;
    }
    return (best?.flags ?? []).filter((flag) => flag === 'nosuid' || flag === 'nodev' || flag === 'noexec');
  };
}

function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
