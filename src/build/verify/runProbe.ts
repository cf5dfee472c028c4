import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { Executor, StepRequest } from '../../executors/executor.ts';
import { temporaryFolder } from '../../io/files.ts';
import { BUILD_PLATFORM, buildKey, type BuildKeyDocument, SANDBOX_VERSION } from '../../model/buildKey.ts';
import { sha256 } from '../../model/digest.ts';
import { VmbuildError } from '../../model/errors.ts';
import type { StoredImage } from '../../store/images.ts';
import { type Store, scratchPrefix } from '../../store/openStore.ts';
import type { Surroundings } from './axes.ts';
import { copyInputs } from './copyInputs.ts';
import type { Probe } from './probe.ts';

/** Something to look at: names whose order tells, and times. */
const PROBE_INPUT = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

/**
 * Runs the probe in an image, under the conditions of a round.
 *
 * @throws VmbuildError EXECUTOR_FAILED if it cannot be run there; the reason is its output.
 */
export async function runProbe(
  executor: Executor,
  image: StoredImage,
  change: Surroundings,
  options: { readonly store: Store; readonly memoryFolder: string | undefined; readonly signal: AbortSignal },
): Promise<Probe> {
  const { store, signal } = options;
  await using scratch = await temporaryFolder(store.layout.temporary, scratchPrefix());
  const at = (name: string): string => join(scratch.path, name);
  for (const name of ['sandbox', 'recipe', 'probe']) mkdirSync(at(name), { mode: 0o755 });
  for (const name of PROBE_INPUT) writeFileSync(join(at('probe'), name), name);
  const input = { kind: 'tree' as const, digest: sha256('the input of the probe'), path: at('probe') };
  const document: BuildKeyDocument = {
    format: 1,
    platform: BUILD_PLATFORM,
    sandbox: SANDBOX_VERSION,
    image: image.digest,
    command: ['perl', '-e', `${script()}\nopen my $out, '>', '/out/done'; print $out 'done';`],
    env: {},
    recipe: sha256('no recipe'),
    sourceDateEpoch: 315_532_800,
    inputs: {},
  };
  await using inputs = await copyInputs({ probe: input }, change.copies, scratch.path, options.memoryFolder);
  let output = '';
  const request: StepRequest = {
    name: 'verify-probe',
    buildKey: buildKey(document),
    document,
    image: change.image ?? image,
    recipe: at('recipe'),
    inputs: inputs.contents,
    scratch: at('sandbox'),
    conditions: { cores: change.cores, limits: {}, variations: { ...change.variations, ...inputs.variations } },
    output: new Writable({
      write(chunk: Buffer, _encoding, done) {
        output += chunk.toString('utf8');
        done();
      },
    }),
    signal,
  };
  const { exitCode } = await executor.run(request);
  if (exitCode !== 0) {
    throw new VmbuildError('EXECUTOR_FAILED', `the probe of the surroundings failed in the executor ${executor.name}`, {
      excerpt: output.split('\n').slice(-20),
    });
  }
  return parse(output, executor.name);
}

function parse(output: string, executor: string): Probe {
  const values = Object.fromEntries(
    output.split('\n').flatMap((line) => {
      const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
      return name === undefined ? [] : [[name, value]];
    }),
  ) as Record<string, string>;
  const { cpus, time, staticTime, addresses = '', ...texts } = values;
  return {
    ...(texts as unknown as Probe),
    executor,
    cpus: Number(cpus),
    time: Number(time),
    staticTime: Number(staticTime),
    addresses: addresses.split(' '),
  };
}

function script(): string {
  return readFileSync(new URL('./probe.pl', import.meta.url), 'utf8');
}
