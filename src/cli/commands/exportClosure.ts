import { resolve } from 'node:path';
import type { SigningKey } from '../../attest/keys.ts';
import { type ExportSummary, writeClosure } from '../../build/closure/writeClosure.ts';
import { exists } from '../../io/files.ts';
import { printable } from '../../model/printable.ts';
import { VmbuildError } from '../../model/errors.ts';
import { chooseRenderer } from '../chooseRenderer.ts';
import { evaluateAll, openContext } from '../context.ts';
import { formatBytes, formatCount, formatDuration } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { DEFAULT_KEY, readOwnKeys, readSigningKey } from '../keyFiles.ts';
import { type FetchOptions, fetchSettings, type GlobalOptions } from '../settings.ts';

/** Options of `vmbuild export`. */
interface ExportCommandOptions extends GlobalOptions, FetchOptions {
  readonly artifacts?: boolean;
  readonly key?: string;
  readonly json?: boolean;
}

/** `vmbuild export`: all that rebuilding targets takes, in one file. */
export async function exportCommand(
  words: readonly string[],
  options: ExportCommandOptions,
  version: string,
): Promise<void> {
  const targets = words.slice(0, -1);
  const file = words.at(-1) ?? '';
  if (!file.endsWith('.vmb') || targets.length === 0) {
    throw new VmbuildError('USAGE', 'export takes targets, and last the file to write, whose name ends in .vmb');
  }
  const place = resolve(file);
  if (await exists(place)) throw new VmbuildError('USAGE', `${place} is there already`);
  using interrupt = interruptSignal();
  const { project, evaluator, store, plan } = await openContext(options, 'write');
  const steps = await evaluateAll(evaluator, targets);
  const start = performance.now();
  let summary: ExportSummary;
  {
    using renderer = chooseRenderer(options.json === true);
    summary = await writeClosure(steps, await plan(steps), place, {
      store,
      fetch: await fetchSettings(options),
      roots: project.roots,
      key: signingKey(options.key),
      artifacts: options.artifacts === true,
      vmbuildVersion: version,
      emit: renderer.emit,
      signal: interrupt.signal,
    });
  }
  const { archive, manifest, signed, artifacts } = summary;
  if (options.json === true) {
    const { size, sha256 } = archive;
    const result = { type: 'result', file: place, size, sha256, signed, artifacts, leftOut: manifest.leftOut };
    process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...result })}\n`);
    return;
  }
  for (const { what, why } of manifest.leftOut) process.stdout.write(printable(`left out: ${what}: ${why}\n`));
  const contents = [
    formatCount(manifest.sources.length, 'source'),
    ...(options.artifacts === true ? [formatCount(artifacts, 'artifact')] : []),
    `${formatCount(signed, 'own build')} signed`,
  ];
  process.stdout.write(
    `${place}\n  ${formatBytes(archive.size)}, sha256 ${archive.sha256}\n` +
      `  ${contents.join(', ')}, ${formatDuration(performance.now() - start)}\n`,
  );
}

/** The named key, or the default one if there is one: to export, nobody needs a key. */
function signingKey(name: string | undefined): SigningKey | undefined {
  if (name !== undefined) return readSigningKey(name);
  return readOwnKeys().some((key) => key.name === DEFAULT_KEY) ? readSigningKey(DEFAULT_KEY) : undefined;
}
