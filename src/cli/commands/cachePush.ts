import { push } from '../../build/push.ts';
import { openNamedCache } from '../cacheSettings.ts';
import { evaluateAll, openContext } from '../context.ts';
import { formatBytes, formatCount, formatDuration } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { DEFAULT_KEY, readSigningKey } from '../keyFiles.ts';
import type { GlobalOptions } from '../settings.ts';
import { readTrust } from '../trustSettings.ts';

/** Options of `vmbuild cache push`. */
interface PushCommandOptions extends GlobalOptions {
  readonly key?: string;
  readonly sources?: boolean;
  readonly allowDiffers?: boolean;
  readonly json?: boolean;
}

/** `vmbuild cache push`: what is in the store goes to a cache; nothing is built for it. */
export async function cachePush(url: string, targets: readonly string[], options: PushCommandOptions): Promise<void> {
  using interrupt = interruptSignal();
  const key = readSigningKey(options.key ?? DEFAULT_KEY);
  const cache = await openNamedCache(url, interrupt.signal);
  const { evaluator, store, plan: planOf } = await openContext(options, 'write');
  const steps = await evaluateAll(evaluator, targets);
  const plan = await planOf(steps);
  const start = performance.now();
  const say = (line: object, text: string): void =>
    void (options.json === true
      ? process.stdout.write(`${JSON.stringify(line)}\n`)
      : process.stdout.write(`${text}\n`));
  const summary = await push(steps, plan, {
    store,
    cache,
    key,
    sources: options.sources === true,
    allowDiffers: options.allowDiffers === true,
    trust: await readTrust(options),
    signal: interrupt.signal,
    onPushed: (path, size) => say({ type: 'pushed', path, size }, `${path}  ${formatBytes(size)}`),
    onLeftOut: (what, why) => say({ type: 'left-out', what, why }, `left out: ${what}: ${why}`),
  });
  const { written, present, bytes, signed, verifications } = summary;
  say(
    { type: 'result', cache: cache.where, ...summary },
    `${formatCount(written, 'object')} written (${formatBytes(bytes)}), ${present} there already, ` +
      `${formatCount(signed, 'own build')} signed, ${formatCount(verifications, 'verification')}, ${formatDuration(performance.now() - start)}`,
  );
}
