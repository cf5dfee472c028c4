import { resolve } from 'node:path';
import { readClosure } from '../../build/closure/readClosure.ts';
import { printable } from '../../model/printable.ts';
import { openStore } from '../../store/openStore.ts';
import { formatCount, formatDuration } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { type GlobalOptions, storeFolder } from '../settings.ts';
import { readTrust } from '../trustSettings.ts';

/** `vmbuild import`: takes an exported closure into the store, after everything in it was checked. */
export async function importCommand(file: string, options: GlobalOptions & { readonly json?: boolean }): Promise<void> {
  using interrupt = interruptSignal();
  const store = await openStore(await storeFolder(options));
  const start = performance.now();
  const summary = await readClosure(resolve(file), {
    store,
    trust: await readTrust(options),
    signal: interrupt.signal,
  });
  const { manifest, sources, present, artifacts, notTrusted } = summary;
  const { targets, results, leftOut } = manifest;
  if (options.json === true) {
    const result = { type: 'result', sources, present, artifacts, notTrusted, targets, results, leftOut };
    process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...result })}\n`);
    return;
  }
  const out = (text: string): void => void process.stdout.write(printable(text));
  for (const { what, why } of leftOut) out(`not in it: ${what}: ${why}\n`);
  const untrusted =
    notTrusted === 0 ? '' : `, ${formatCount(notTrusted, 'result')} not signed by anybody whom you trust`;
  out(
    `${formatCount(sources, 'source')} taken, ${present} there already, ${formatCount(artifacts, 'artifact')} taken` +
      `${untrusted}, ${formatDuration(performance.now() - start)}\n`,
  );
  for (const { target } of targets) {
    const found = results.find((result) => result.target === target);
    if (found !== undefined) out(`${target} was ${found.artifact} where it was exported\n`);
  }
  out(`next: vmbuild realize ${targets.map(({ target }) => target).join(' ')} --offline\n`);
}
