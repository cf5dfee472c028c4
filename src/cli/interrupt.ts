import { VmbuildError } from '../model/errors.ts';

/**
 * A signal that aborts at the first Ctrl-C (or SIGTERM, SIGHUP), after which everything is ended and removed;
 * a second one ends the program at once. Dispose it when the work is done.
 */
export function interruptSignal(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(130);
    process.stderr.write(`\nStopping (${name}); once more to leave at once.\n`);
    controller.abort(new VmbuildError('INTERRUPTED', `stopped by ${name}; finished steps are kept`));
  };
  for (const name of signals) process.on(name, onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of signals) process.off(name, onSignal);
    },
  };
}
