import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { once } from 'node:events';
import { chmod, mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { run } from '../../io/process.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../../model/errors.ts';
import { SANDBOX, stepEnvironment } from '../../model/sandbox.ts';
import type { Availability, Executor, StepRequest, StepResult } from '../executor.ts';
import { explainUnavailable } from './availability.ts';
import { mountTable } from './mountTable.ts';
import { type OutputPipe, openOutputPipe, stepDescriptors } from './stepOutput.ts';

const ENTER = fileURLToPath(new URL('./enter.sh', import.meta.url));

/**
 * setpriv(1) makes the sandbox die with vmbuild even if that is killed; the user namespace makes the
 * invoking user its root, so that mounting needs no privilege; --kill-child takes the whole process tree along.
 */
const ENTER_NAMESPACES = [
  'setpriv --pdeathsig KILL',
  'unshare --user --map-root-user --mount --propagation private',
  '--uts --ipc --net --cgroup --pid --fork --kill-child',
]
  .join(' ')
  .split(' ');

/** What the machine's programs see on the way into the sandbox. */
const HOST_ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

/** The embedded executor: Linux namespaces through util-linux, as root or as an ordinary user, without a daemon. */
export function createNamespaceExecutor(): Executor {
  return { name: 'namespace', probe, run: runStep };
}

async function probe(): Promise<Availability> {
  const [program = '', ...args] = ENTER_NAMESPACES;
  try {
    // Mounting a tmpfs and a second user namespace inside are what hardened kernels refuse.
    const script =
      'mount -t tmpfs tmpfs /tmp && mount -t proc proc /proc && exec unshare --user --map-user=1000 --map-group=100 true';
    const result = await run(program, [...args, '/bin/sh', '-c', script], { env: HOST_ENVIRONMENT });
    if (result.exitCode === 0) return { available: true };
    return explainUnavailable(result.stderr.trim());
  } catch (error) {
    return explainUnavailable(errorMessage(error));
  }
}

async function runStep(request: StepRequest): Promise<StepResult> {
  request.signal.throwIfAborted();
  const paths = await prepare(request);
  const fstab = join(request.scratch, 'fstab');
  await writeFile(fstab, mountTable(paths));
  using pipe = await openOutputPipe(join(request.scratch, 'output'), HOST_ENVIRONMENT);
  // From here to the listener of supervise() nothing waits, so that no abort is missed.
  request.signal.throwIfAborted();
  return await supervise(enter(request, paths.root, fstab, pipe), pipe.reader, request);
}

function enter(request: StepRequest, root: string, fstab: string, pipe: OutputPipe): ChildProcess {
  const { rlimits, uid, gid, hostname } = SANDBOX;
  const environment = stepEnvironment(request.document, request.cores);
  const [program = '', ...args] = ENTER_NAMESPACES;
  const nothing = openSync('/dev/null', 'r');
  try {
    return spawn(
      program,
      [
        ...args,
        '/bin/sh',
        ENTER,
        root,
        fstab,
        String(uid),
        String(gid),
        hostname,
        String(rlimits.nofile),
        String(rlimits.stack / 1024),
        ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
        ...request.document.command,
      ],
      { env: HOST_ENVIRONMENT, stdio: stepDescriptors(pipe.writer, nothing), detached: true },
    );
  } finally {
    closeSync(nothing);
    pipe.handedOver();
  }
}

/** Makes the folders and mount points of a sandbox; everything is below the step's scratch folder. */
async function prepare(request: StepRequest): Promise<Parameters<typeof mountTable>[0]> {
  // mountinfo and mount(8) work with real paths.
  const scratch = await realpath(request.scratch);
  const at = (name: string): string => join(scratch, name);
  for (const name of ['root', 'in', 'build', 'out', 'dev', 'dev/shm']) await mkdir(at(name));
  for (const name of ['build', 'out']) await chmod(at(name), 0o1777);
  for (const name of SANDBOX.devices) await writeFile(at(`dev/${name}`), '');
  await symlink('/proc/self/fd', at('dev/fd'));
  for (const [number, name] of ['stdin', 'stdout', 'stderr'].entries()) {
    await symlink(`/proc/self/fd/${number}`, at(`dev/${name}`));
  }
  const inputs: Record<string, string> = {};
  for (const [name, input] of Object.entries(request.inputs)) {
    if (input.kind === 'tree') await mkdir(at(`in/${name}`));
    else await writeFile(at(`in/${name}`), '');
    inputs[name] = await realpath(input.path);
  }
  return {
    rootfs: await realpath(request.image.rootfs),
    root: at('root'),
    recipe: await realpath(request.recipe),
    inputPoints: at('in'),
    inputs,
    build: at('build'),
    out: at('out'),
    dev: at('dev'),
  };
}

/** Passes output on, ends the process tree on abort, and tells a failed sandbox from a failed step. */
async function supervise(child: ChildProcess, output: Readable, request: StepRequest): Promise<StepResult> {
  // The whole process group: a child that unshare has just forked does not die with it yet.
  const kill = (): void => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) killGroup(child.pid);
  };
  request.signal.addEventListener('abort', kill);
  let ready = false;
  const setup: Buffer[] = [];
  child.stdio[3]?.on('data', () => {
    ready = true;
  });
  const ended = new Promise<StepResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => resolve({ exitCode, signal }));
  });
  try {
    const [result] = await Promise.all([
      ended,
      forward(output, request.output, (chunk) => {
        if (!ready) setup.push(chunk);
      }),
    ]);
    request.signal.throwIfAborted();
    if (!ready) throw failedBeforeStart(request, result, Buffer.concat(setup).toString().trim());
    return result;
  } finally {
    request.signal.removeEventListener('abort', kill);
    // Where writing the log failed, the step is still running; nothing of it may outlive this call.
    kill();
    await ended.catch(() => {});
    // The pipe ends when the last process of the step has ended; the one that is waited for is only the first.
    if (!output.destroyed) await finished(output.resume(), { writable: false }).catch(() => {});
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (systemErrorCode(error) !== 'ESRCH') throw error;
  }
}

async function forward(from: Readable, to: Writable, peek: (chunk: Buffer) => void): Promise<void> {
  const chunks = from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of chunks) {
    peek(chunk);
    // A destroyed stream takes nothing and never says that it is drained.
    if (to.destroyed) throw to.errored ?? new Error('the log of the step was closed');
    if (!to.write(chunk)) await once(to, 'drain');
  }
}

function failedBeforeStart(request: StepRequest, result: StepResult, output: string): VmbuildError {
  const ending = result.exitCode === null ? `signal ${result.signal}` : `exit code ${result.exitCode}`;
  return new VmbuildError('EXECUTOR_FAILED', `the sandbox could not be set up (${ending}): ${output || 'no message'}`, {
    step: request.name,
    hints: ['Try the other executor with --executor docker.'],
  });
}
