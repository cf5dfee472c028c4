import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { constants } from 'node:os';
import { type Readable, pipeline, type Writable } from 'node:stream';
import type Dockerode from 'dockerode';
import type { Limits } from '../../model/limits.ts';
import type { StepResult } from '../executor.ts';
import type { Watch } from '../watch.ts';
import { Demultiplexer } from './demux.ts';
import { daemonMessage, statusOf } from './dockerErrors.ts';
import { containerMeter } from './limits.ts';

/**
 * Starts a created container, passes its output on, and waits for its end. It is attached before it starts, else the
 * output of a short step is lost; and it is waited for after it has started, so that no order of events can be missed:
 * the container is not removed by itself, so its exit code stays.
 *
 * When the signal of the watch aborts, this rejects and the container may be running: whoever created it removes it.
 */
export async function runContainer(
  docker: Dockerode,
  container: Dockerode.Container,
  output: Writable,
  limits: Limits,
  watched: Watch,
): Promise<StepResult> {
  const { signal } = watched;
  const attached = (await container.attach({
    stream: true,
    stdout: true,
    stderr: true,
    hijack: true,
    abortSignal: signal,
  })) as unknown as Readable;
  try {
    const copied = copyOutput(attached, output, watched);
    copied.catch(() => {}); // it is awaited below, or the container did not start
    const exitCode = await start(container, output);
    if (exitCode !== undefined) return { exitCode, signal: null };
    watched.begin(containerMeter(container, limits));
    const [status] = await Promise.all([exitStatus(docker, container.id, signal), copied]);
    if (status === 0 && limits.memory === undefined) return { exitCode: 0, signal: null };
    // This also finds out whether the daemon is alive: one that shuts down kills its containers first.
    const { State } = await container.inspect({ abortSignal: signal });
    // It says so of any process of the container, whatever the command then made of it.
    await watched.end({ reached: State.OOMKilled && limits.memory !== undefined ? ['memory'] : [] });
    return describeStatus(status, State.OOMKilled);
  } finally {
    attached.destroy();
  }
}

/** Gives an exit code if the command cannot be executed: the command's fault, not the daemon's. A shell says it so. */
async function start(container: Dockerode.Container, output: Writable): Promise<number | undefined> {
  try {
    await container.start();
    return undefined;
  } catch (error) {
    const exitCode = await unstartable(container, error);
    if (exitCode === undefined) throw error;
    output.write(`${daemonMessage(error)}\n`);
    return exitCode;
  }
}

/** 126 or 127 if the command of the step cannot be executed or is not there, and undefined for all other trouble. */
async function unstartable(container: Dockerode.Container, error: unknown): Promise<number | undefined> {
  if (statusOf(error) === undefined) return undefined;
  const { State } = await container.inspect();
  return State.ExitCode === 126 || State.ExitCode === 127 ? State.ExitCode : undefined;
}

/**
 * `POST /containers/{id}/wait`. Not dockerode's own, which never comes back if the daemon goes away while it waits:
 * it gets its headers at once, and does not look at an answer that is cut off.
 */
async function exitStatus(docker: Dockerode, id: string, signal: AbortSignal): Promise<number> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    docker.modem.dial(
      {
        path: `/containers/${id}/wait?`,
        method: 'POST',
        options: { condition: 'not-running' },
        abortSignal: signal,
        isStream: true,
        statusCodes: { 200: true, 404: 'no such container', 500: 'server error' },
      },
      (error: unknown, response: unknown) => (error ? reject(error) : resolve(response as IncomingMessage)),
    );
  });
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  const { StatusCode, Error: problem } = JSON.parse(text) as { StatusCode: number; Error?: { Message: string } | null };
  if (problem) throw new Error(problem.Message);
  return StatusCode;
}

/**
 * Docker gives one number: 128+n for a program that signal n killed, as a shell does, and cannot be asked which of the
 * two it was. We read it as the signal.
 */
function describeStatus(status: number, outOfMemory: boolean): StepResult {
  if (outOfMemory && status !== 0) return { exitCode: null, signal: 'SIGKILL' };
  const name = Object.entries(constants.signals).find(([, number]) => number === status - 128)?.[0];
  return name === undefined ? { exitCode: status, signal: null } : { exitCode: null, signal: name };
}

/** Copies until the container's output has ended, no faster than `output` takes it; does not end `output`. */
async function copyOutput(attached: Readable, output: Writable, watched: Watch): Promise<void> {
  const payloads = pipeline(attached, new Demultiplexer(), () => {}); // its error comes out of the iteration
  for await (const chunk of payloads) {
    watched.printed((chunk as Buffer).length);
    if (output.destroyed) throw new Error('the log of the step was closed while the step was running');
    if (!output.write(chunk)) await once(output, 'drain', { signal: watched.signal });
  }
  watched.signal.throwIfAborted();
}
