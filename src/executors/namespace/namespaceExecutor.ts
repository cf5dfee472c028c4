import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { explainSystemError, systemErrorCode, VmbuildError } from '../../model/errors.ts';
import { SANDBOX, stepEnvironment } from '../../model/sandbox.ts';
import type { Availability, Executor, StepRequest, StepResult } from '../executor.ts';
import { type Watch, watch } from '../watch.ts';
import { explainUnavailable } from './availability.ts';
import { enforce, limitTable } from './limits.ts';
import { type SandboxEnd, type SandboxProcess, startSandbox } from './sandboxProcess.ts';

/** The embedded executor: Linux namespaces, as root or as an ordinary user, without a daemon. */
export function createNamespaceExecutor(): Executor {
  return { name: 'namespace', probe, limits: async () => limitTable(), run: runStep };
}

/**
 * Sets up a whole sandbox around nothing: whatever a step's would fail with, this fails with.
 *
 * @throws VmbuildError DISK_FULL if there is no room for that.
 */
async function probe(scratchPrefix: string): Promise<Availability> {
  if (process.arch !== 'x64') {
    return {
      available: false,
      reason: `steps are programs for x86-64, and this machine is ${process.arch}`,
      hints: [],
    };
  }
  try {
    const scratch = await mkdtemp(scratchPrefix);
    try {
      const [rootfs, recipe] = [join(scratch, 'rootfs'), join(scratch, 'recipe')];
      await mkdir(rootfs);
      await Promise.all([recipe, ...SANDBOX.mountPoints.map((name) => join(rootfs, name))].map((path) => mkdir(path)));
      const sandbox = await startSandbox({ scratch, rootfs, recipe, inputs: {}, command: [], environment: {} });
      sandbox.output.destroy();
      const { ready, message } = await sandbox.ended;
      return ready ? { available: true } : explainUnavailable(message || 'no message');
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  } catch (error) {
    // A disk without room for the probe says nothing of the executor.
    if (isDiskFull(error)) throw explainSystemError(error, 'trying the sandbox');
    return explainUnavailable(error);
  }
}

function isDiskFull(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

async function runStep(request: StepRequest): Promise<StepResult> {
  const { document, image, conditions } = request;
  request.signal.throwIfAborted();
  await using enforcement = enforce(conditions.limits);
  using watched = watch(request);
  const sandbox = await startSandbox({
    ...request,
    rootfs: image.rootfs,
    command: document.command,
    environment: stepEnvironment(document, conditions),
    enforcement,
    variations: conditions.variations,
  });
  watched.signal.addEventListener('abort', sandbox.kill);
  if (watched.signal.aborted) sandbox.kill();
  const { measure } = enforcement;
  watched.begin(measure && (() => measure(sandbox.pid())));
  let end: SandboxEnd;
  try {
    end = await follow(sandbox, request.output, watched);
  } catch (error) {
    watched.signal.throwIfAborted();
    throw error;
  }
  await watched.end();
  if (end.result === undefined || !end.ready) throw sandboxFailed(request, end);
  return end.result;
}

/** Passes the output on until there is no more. If that fails the step is ended: nothing of it outlives this call. */
async function follow(sandbox: SandboxProcess, log: Writable, watched: Watch): Promise<SandboxEnd> {
  try {
    await forward(sandbox.output, log, watched);
    return await sandbox.ended;
  } finally {
    sandbox.kill();
    await sandbox.ended.catch(() => {});
    sandbox.output.destroy();
  }
}

async function forward(from: Readable, to: Writable, watched: Watch): Promise<void> {
  for await (const chunk of from) {
    watched.printed((chunk as Buffer).length);
    // A destroyed stream takes nothing and never says that it is drained.
    if (to.destroyed) throw to.errored ?? new Error('the log of the step was closed');
    if (!to.write(chunk)) await once(to, 'drain', { signal: watched.signal });
  }
}

function sandboxFailed(request: StepRequest, { ready, message }: SandboxEnd): VmbuildError {
  const what = ready ? 'the sandbox was ended by somebody else' : 'the sandbox could not be set up';
  return new VmbuildError('EXECUTOR_FAILED', `${what}: ${message || 'no message'}`, {
    step: request.name,
    hints: ['Try the other executor with --executor docker.'],
  });
}
