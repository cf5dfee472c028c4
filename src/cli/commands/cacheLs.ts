import { survey } from '../../build/survey.ts';
import { shortDigest } from '../../model/digest.ts';
import { printable } from '../../model/printable.ts';
import { openNamedCache } from '../cacheSettings.ts';
import { readTrust } from '../trustSettings.ts';
import { evaluateAll, openContext } from '../context.ts';
import { formatTable } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import type { GlobalOptions } from '../settings.ts';

/** `vmbuild cache ls`: who says what about targets in a cache. */
export async function cacheLs(
  url: string,
  targets: readonly string[],
  options: GlobalOptions & { readonly json?: boolean },
): Promise<void> {
  using interrupt = interruptSignal();
  const cache = await openNamedCache(url, interrupt.signal);
  const { evaluator } = await openContext(options, 'read');
  const said = await survey(await evaluateAll(evaluator, targets), cache, await readTrust(options));
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(said, null, 2)}\n`);
    return;
  }
  const rows = said.map(({ target, artifact, trusted, present, who }) => [
    target,
    shortDigest(artifact),
    present ? 'there' : 'evicted',
    trusted ? 'trusted' : 'not trusted',
    who,
  ]);
  process.stdout.write(rows.length === 0 ? 'nobody has pushed any of that\n' : printable(formatTable(rows)));
}
