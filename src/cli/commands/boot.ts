import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Step } from '../../build/evaluate.ts';
import type { RealisedStep } from '../../build/realised.ts';
import { createProvisioner } from '../../build/provision.ts';
import { realise } from '../../build/realise.ts';
import { type MachineOptions, startMachine } from '../../build/startMachine.ts';
import { VmbuildError } from '../../model/errors.ts';
import { executorChooser } from '../chooseExecutor.ts';
import { chooseRenderer } from '../chooseRenderer.ts';
import { type Context, openContext } from '../context.ts';
import { interruptSignal } from '../interrupt.ts';
import { type FetchOptions, fetchSettings, type GlobalOptions } from '../settings.ts';
import { VERSION } from '../version.ts';
import { attachTerminal } from './attachTerminal.ts';
import { watchConsole } from './watchConsole.ts';

/** Options of `vmbuild boot`. */
interface BootOptions extends GlobalOptions, FetchOptions, MachineOptions {
  readonly disk: readonly string[];
  readonly interactive?: boolean;
  readonly expect: readonly string[];
  readonly timeout: number;
}

/** What a boot recipe calls the ROM and the emulator. */
const MACHINE_INPUTS = ['rom', 'qemu'];

/** `vmbuild boot`: a ROM in QEMU, for a person. */
export async function bootCommand(target: string, options: BootOptions): Promise<void> {
  const disks = options.disk.map(diskImage);
  if (options.interactive === true && (!process.stdin.isTTY || options.expect.length > 0)) {
    throw new VmbuildError('USAGE', '--interactive wants a terminal, and nothing that is expected');
  }
  const context = await openContext(options, 'write');
  const { store } = context;
  const step = await bootStep(context, target);

  using interrupt = interruptSignal();
  const { signal } = interrupt;
  using renderer = chooseRenderer(false);
  const { emit } = renderer;
  const fetch = await fetchSettings(options);
  // Of the two only this one shows the machine's console while it runs.
  const executor = executorChooser('namespace', store, emit);
  const cores = availableParallelism();
  // Its other inputs are the disks of its scenarios.
  const needed = Object.entries(step.inputs).filter(([name]) => MACHINE_INPUTS.includes(name));
  const steps = needed.map(([, input]) => input);
  const results = await realise(steps, {
    store,
    fetch,
    executor,
    jobs: 2,
    cores,
    rebuild: 'nothing',
    keepFailed: false,
    holdResults: true,
    vmbuildVersion: VERSION,
    emit,
    signal,
  });
  const made = new Map(results.map((result) => [result.step.hash, result]));
  await using provisioner = createProvisioner({ store, fetch, emit, signal });
  await using machine = await startMachine({
    step,
    inputs: Object.fromEntries(needed.map(([name, { hash }]) => [name, made.get(hash) as RealisedStep])),
    disks,
    machine: { memory: options.memory, cpus: options.cpus, network: options.network },
    store,
    provisioner,
    executor: await executor(),
    cores,
    signal,
  });
  if (options.interactive === true) return await attachTerminal(machine.console, signal);
  await watchConsole(machine.console, { expect: options.expect, timeoutS: options.timeout, signal });
}

/** The step that knows how to boot a ROM: the one whose input is that ROM. */
async function bootStep({ evaluator, project }: Context, target: string): Promise<Step> {
  const name = target.replace(/^rom-/, 'boot-');
  const step = name !== target && (await project.targets()).includes(name) ? await evaluator.evaluate(name) : undefined;
  if (step?.inputs['rom']?.target === target) return step;
  throw new VmbuildError('USAGE', `nothing can boot ${target}`, {
    hints: ['rom-qemu-q35 is the ROM for QEMU: vmbuild boot rom-qemu-q35', 'vmbuild ls lists the targets.'],
  });
}

function diskImage(path: string): string {
  const absolute = resolve(path);
  if (statSync(absolute, { throwIfNoEntry: false })?.isFile() === true) return absolute;
  throw new VmbuildError('USAGE', `--disk: ${path} is not a file`);
}
