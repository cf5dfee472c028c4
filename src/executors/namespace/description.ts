import { resolve } from 'node:path';
import { SANDBOX } from '../../model/sandbox.ts';
import type { StepRequest } from '../executor.ts';
import type { Enforcement } from './limits.ts';
import type { Variations } from '../../model/variations.ts';
import { mountActions } from './mounts.ts';
import { SECCOMP_FILTER } from './seccompFilter.ts';

/** Numbers of <asm-generic/resource.h>. */
const RLIMITS = [
  ['nofile', 7],
  ['core', 4],
  ['stack', 3],
] as const;
const RLIMIT_NPROC = 6;

/** What is different from sandbox to sandbox. */
export interface SandboxParameters extends Pick<StepRequest, 'scratch' | 'recipe' | 'inputs'> {
  readonly rootfs: string;
  /** May be empty: the sandbox is then set up, and that is all. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** What keeps its limits. */
  readonly enforcement?: Pick<Enforcement, 'joins' | 'processes'>;
  readonly variations?: Variations | undefined;
}

/** Describes a sandbox to enter.pl. */
export function describeSandbox(parameters: SandboxParameters): Buffer {
  const { variations = {} } = parameters;
  const rlimits = { ...SANDBOX.rlimits, ...variations.rlimits };
  // enter.pl works in the root folder.
  const at = (name: string): string => resolve(parameters.scratch, name);
  const rootfs = resolve(parameters.rootfs);
  const parts = {
    rootfs,
    recipe: resolve(parameters.recipe),
    inputs: parameters.inputs,
    build: at('build'),
    out: at('out'),
    variations,
  };
  return encode({
    scratch: [parameters.scratch],
    uid: [variations.ids?.uid ?? SANDBOX.uid],
    gid: [variations.ids?.gid ?? SANDBOX.gid],
    cgroups: parameters.enforcement?.joins ?? [],
    hostname: [variations.hostname ?? SANDBOX.hostname],
    domainname: [variations.domainname ?? '(none)'],
    personality: [variations.personality ?? 0],
    cpus: variations.cpus ?? [],
    batch: [variations.batch === true ? 1 : 0],
    pipedInput: [variations.pipedInput === true ? 1 : 0],
    root: [rootfs],
    folders: [parts.build, parts.out],
    mounts: mountActions(parts).flat(),
    workDir: [variations.workDir ?? SANDBOX.workDir],
    limits: resourceLimits(rlimits, parameters.enforcement?.processes),
    umask: [variations.umask ?? SANDBOX.umask],
    filter: [SECCOMP_FILTER],
    environment: Object.entries(parameters.environment).flat(),
    command: parameters.command,
  });
}

/** Name, number and value of each. */
function resourceLimits(
  values: Readonly<Record<(typeof RLIMITS)[number][0], number>>,
  processes: number | undefined,
): readonly (string | number)[] {
  const fixed = RLIMITS.flatMap(([name, number]) => [name, number, values[name]]);
  return processes === undefined ? fixed : [...fixed, 'nproc', RLIMIT_NPROC, processes];
}

/**
 * The length of what follows, then for each entry its name, the number of its values, and these. Each of them is preceded by
 * its length; lengths are four bytes, big-endian.
 */
function encode(description: Readonly<Record<string, readonly (string | number | Uint8Array)[]>>): Buffer {
  const fields = Object.entries(description)
    .flatMap(([name, values]) => [name, values.length, ...values])
    .map((field) => (typeof field === 'number' ? String(field) : field));
  const lengths = fields.map((field) => (typeof field === 'string' ? Buffer.byteLength(field) : field.length));
  const bytes = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + 4 + length, 4));
  let end = bytes.writeUInt32BE(bytes.length - 4);
  for (const [index, field] of fields.entries()) {
    end = bytes.writeUInt32BE(lengths[index] as number, end);
    if (typeof field === 'string') bytes.write(field, end);
    else bytes.set(field, end);
    end += lengths[index] as number;
  }
  return bytes;
}
