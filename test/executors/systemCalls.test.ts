import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDockerExecutor } from '../../src/executors/docker/dockerExecutor.ts';
import { createNamespaceExecutor } from '../../src/executors/namespace/namespaceExecutor.ts';
import { cannotBuild, fixture, run, scriptRecipe, storeWithImage } from '../support/fixture.ts';
import { PROBE_PREFIX } from '../support/probePrefix.ts';

const docker = cannotBuild === undefined ? await createDockerExecutor().probe(PROBE_PREFIX) : undefined;
const whyNoDocker = cannotBuild ?? (docker?.available === false ? docker.reason : undefined);

/** Numbers of x86-64, by name, with arguments that make no sense: only who is refused gets EPERM. */
const REFUSED: Readonly<Record<string, string>> = {
  unshare: '272, 0x10000000',
  'unshare of nothing': '272, 0',
  setns: '308, -1, 0',
  mount: '165, 0, 0, 0, 0, 0',
  umount2: '166, 0, 0',
  pivot_root: '155, 0, 0',
  open_tree: '428, -1, 0, 0',
  fsopen: '430, 0, 0',
  add_key: '248, 0, 0, 0, 0, 0',
  request_key: '249, 0, 0, 0, 0',
  keyctl: '250, 0, -3, 0, 0, 0',
  open_by_handle_at: '304, -1, 0, 0',
  kcmp: '312, 0, 0, 99, 0, 0',
  fanotify_init: '300, 0, 0',
  bpf: '321, 99, 0, 0',
  perf_event_open: '298, 0, 0, 0, 0, 0',
  userfaultfd: '323, 0',
  kexec_load: '246, 0, 0, 0, 0',
  init_module: '175, 0, 0, 0',
  finit_module: '313, -1, 0, 0',
  syslog: '103, 3, 0, 0',
  mbind: '237, 0, 0, 99, 0, 0, 0',
  sysfs: '139, 3',
  'clone of a user namespace': '56, 0x10000011, 0, 0, 0, 0',
  'clone of a network namespace': '56, 0x40000011, 0, 0, 0, 0',
  'personality ADDR_NO_RANDOMIZE': '135, 0x40000',
};

const ALLOWED: Readonly<Record<string, string>> = {
  getpid: '39',
  'personality PER_LINUX32': '135, 8',
  'the present personality': '135, 0xffffffff',
  'an AF_UNIX socket': '41, 1, 1, 0',
  'an AF_INET socket': '41, 2, 1, 0',
  'an AF_NETLINK socket': '41, 16, 3, 0',
};

const script = (calls: Readonly<Record<string, string>>): string =>
  Object.entries(calls)
    .map(([name, call]) => `$! = 0; my $r = syscall(${call}); printf "%s: %d\\n", "${name}", $r == -1 ? $! : 0;`)
    .join(' ');

const told = (calls: Readonly<Record<string, string>>, errno: number): string =>
  Object.keys(calls)
    .map((name) => `${name}: ${errno}\n`)
    .join('');

/** Those that would put something into a tree that no artifact holds. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  setxattr: '188, my $p = "/tmp", my $n = "user.x", my $v = "y", 1, 0',
  lsetxattr: '189, my $p = "/tmp", my $n = "user.x", my $v = "y", 1, 0',
  fsetxattr: '190, 1, my $n = "user.x", my $v = "y", 1, 0',
};

const EPERM = 1;
const ENOSYS = 38;
const EOPNOTSUPP = 95;
const EAFNOSUPPORT = 97;

const executors = [
  { name: 'namespace', create: createNamespaceExecutor, why: cannotBuild },
  { name: 'docker', create: createDockerExecutor, why: whyNoDocker },
];

describe.each(executors)('system calls of a step with $name', ({ name, create, why }) => {
  const title = (text: string): string => (why === undefined ? text : `${text} (skipped: ${why})`);
  const report = async (perl: string): Promise<string> => {
    const project = await fixture({
      'calls/recipe.ts': scriptRecipe('perl /recipe/calls >/out/report', { files: ['calls'] }),
      'calls/calls': perl,
    });
    const { results } = await run(project, ['calls'], { store: await storeWithImage(), executor: create() });
    return readFile(join(results[0]?.path ?? '', 'report'), 'utf8');
  };

  it.skipIf(why !== undefined)(title('are refused where Docker refuses them by default'), async () => {
    expect(await report(script(REFUSED))).toBe(told(REFUSED, EPERM));
  });

  it.skipIf(why !== undefined)(title('work where builds need them'), async () => {
    expect(await report(script(ALLOWED))).toBe(told(ALLOWED, 0));
  });

  it.skipIf(why !== undefined)(title('set no extended attributes, which no artifact holds'), async () => {
    expect(await report(script(UNSUPPORTED))).toBe(told(UNSUPPORTED, EOPNOTSUPP));
  });

  it.skipIf(why !== undefined)(title('of newer kernels, and clone3, do not exist'), async () => {
    const newer = { clone3: '435, 0, 0', 'the first unknown one': '451, 0, 0, 0, 0' };
    // Docker's answer to what it does not know depends on its version.
    const calls = name === 'docker' ? { clone3: newer.clone3 } : newer;
    expect(await report(script(calls))).toBe(told(calls, ENOSYS));
  });

  // What Docker says to these depends on its version.
  if (name === 'namespace') {
    it.skipIf(why !== undefined)(title('make no socket that a network namespace does not confine'), async () => {
      const families = { AF_VSOCK: '41, 40, 1, 0', AF_ALG: '41, 38, 5, 0', AF_BLUETOOTH: '41, 31, 3, 0' };
      expect(await report(script(families))).toBe(told(families, EAFNOSUPPORT));
    });
  }
});
