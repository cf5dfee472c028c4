import { closeSync, constants, existsSync, mkdirSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Executor, MountedContent } from '../executors/executor.ts';
import { temporaryFolder } from '../io/files.ts';
import { buildKey, type BuildKeyDocument } from '../model/buildKey.ts';
import { sha256 } from '../model/digest.ts';
import { systemErrorCode, VmbuildError } from '../model/errors.ts';
import { type Store, scratchPrefix } from '../store/openStore.ts';
import type { Step } from './evaluate.ts';
import { keyDocument } from './plan.ts';
import type { Provisioner } from './provision.ts';
import type { RealisedStep } from './realised.ts';
import { writeRecipeFiles } from './recipeFiles.ts';

/** How long QEMU may take until its console can be reached, in milliseconds. */
const PATIENCE_MS = 30_000;

/** What the step at `/out` listens on. */
const CONSOLE = 'console';

/** What a machine for a person is like; what is not given is the recipe's to decide. */
export interface MachineOptions {
  /** MiB. */
  readonly memory?: number | undefined;
  readonly cpus?: number | undefined;
  readonly network?: boolean | undefined;
}

/** A machine that is to be started. */
export interface MachineRequest {
  /** The step that boots ROMs: `boot-<platform>`. */
  readonly step: Step;
  /** Of its inputs, those that every machine needs. */
  readonly inputs: Readonly<Record<string, RealisedStep>>;
  /** Disk images, absolute paths; they are only read. */
  readonly disks: readonly string[];
  readonly machine: MachineOptions;
  readonly store: Store;
  readonly provisioner: Provisioner;
  /** Must show `/out` on this machine while the step runs, as the namespace executor does. */
  readonly executor: Executor;
  readonly cores: number;
  readonly signal: AbortSignal;
}

/** A machine that runs. Disposing of it ends it, and removes what it has written. */
export interface RunningMachine extends AsyncDisposable {
  /** Its serial console, in both directions; it closes when the machine is off. */
  readonly console: Socket;
}

/**
 * Starts a machine in the image of the step that boots ROMs, for a person: the step runs as it always does, but is told to
 * put the console of one machine on a socket, `/out/console`. Nothing of it is recorded.
 *
 * @throws VmbuildError BOOT_FAILED if QEMU ends before its console can be reached.
 */
export async function startMachine(request: MachineRequest): Promise<RunningMachine> {
  const { step, store, executor } = request;
  await using started = new AsyncDisposableStack();
  const image = await request.provisioner.image(step.image);
  const scratch = started.use(await temporaryFolder(store.layout.temporary, scratchPrefix()));
  const [recipe, sandbox] = [join(scratch.path, 'recipe'), join(scratch.path, 'sandbox')];
  mkdirSync(recipe);
  mkdirSync(sandbox, { mode: 0o700 });
  writeRecipeFiles(step.files, recipe);
  const inputs: Record<string, MountedContent> = {};
  for (const [name, { artifact, path }] of Object.entries(request.inputs)) {
    inputs[name] = { kind: 'tree', digest: artifact, path };
  }
  for (const [index, path] of request.disks.entries()) {
    // Nobody records it, so its content need not be read for a digest.
    inputs[`disk-${index + 1}`] = { kind: 'file', digest: sha256(path), path };
  }
  const document: BuildKeyDocument = {
    ...keyDocument(step, {}),
    env: {
      ...step.derivation.env,
      VMBUILD_MACHINE: JSON.stringify({ ...request.machine, disks: request.disks.length }),
    },
    inputs,
  };

  const said: string[] = [];
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      said.push(chunk.toString('utf8'));
      done();
    },
  });
  const end = new AbortController();
  const running = executor.run({
    name: step.target,
    buildKey: buildKey(document),
    document,
    image,
    recipe,
    inputs,
    scratch: sandbox,
    conditions: { cores: request.cores, limits: {} },
    output,
    signal: AbortSignal.any([request.signal, end.signal]),
  });
  let ended = false;
  const finished = running.catch(() => {}).finally(() => (ended = true));
  started.defer(async () => {
    end.abort(new VmbuildError('INTERRUPTED', 'the machine was stopped'));
    await finished;
  });

  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const console = await connectIn(join(sandbox, 'out'), CONSOLE);
    if (console !== undefined) {
      const held = started.move();
      return { console, [Symbol.asyncDispose]: () => held.disposeAsync() };
    }
    if (ended) await running;
    if (ended || performance.now() > deadline) throw neverStarted(step, said);
    await sleep(20);
  }
}

/**
 * Connects to a socket in a folder whose path may be longer than the 107 bytes that an address has room for; undefined if
 * it is not there yet, or nobody listens yet.
 */
async function connectIn(folder: string, name: string): Promise<Socket | undefined> {
  if (!existsSync(join(folder, name))) return undefined;
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const socket = connect(`/proc/self/fd/${fd}/${name}`);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('connect', resolve).once('error', reject);
    await promise;
    socket.off('error', reject);
    return socket;
  } catch (error) {
    if (systemErrorCode(error) === 'ECONNREFUSED') return undefined;
    throw error;
  } finally {
    closeSync(fd);
  }
}

function neverStarted(step: Step, said: readonly string[]): VmbuildError {
  return new VmbuildError('BOOT_FAILED', 'QEMU did not open the console of the machine', {
    step: step.target,
    excerpt: said.join('').trimEnd().split('\n').slice(-20),
  });
}
