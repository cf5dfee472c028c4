import type { Emit } from '../build/events.ts';
import type { Executor, ExecutorName } from '../executors/executor.ts';
import { VmbuildError } from '../model/errors.ts';
import { type Store, stagingPath } from '../store/openStore.ts';

/** What a person may ask for. `auto`: namespace where it works, else docker. */
export type ExecutorChoice = 'auto' | ExecutorName;

/**
 * Returns a function that chooses the executor when it is first needed, and tells which and why. A chosen executor
 * that does not work is an error: another one is never taken in silence.
 */
export function executorChooser(choice: ExecutorChoice, store: Store, emit: Emit): () => Promise<Executor> {
  let chosen: Promise<Executor> | undefined;
  return () => (chosen ??= choose(choice, stagingPath(store), emit));
}

async function choose(choice: ExecutorChoice, scratchPrefix: string, emit: Emit): Promise<Executor> {
  const reasons: string[] = [];
  const hints: string[] = [];
  for (const name of choice === 'auto' ? (['namespace', 'docker'] as const) : [choice]) {
    const executor = await load(name);
    const availability = await executor.probe(scratchPrefix);
    if (availability.available) {
      const reason =
        choice !== 'auto' ? 'as asked' : reasons.length > 0 ? `because ${reasons.join('; ')}` : 'it works here';
      emit({ type: 'executor-chosen', executor: name, reason });
      return executor;
    }
    reasons.push(`${name}: ${availability.reason}`);
    hints.push(...availability.hints);
  }
  if (choice === 'namespace') hints.push('Or use Docker: --executor docker.');
  throw new VmbuildError('EXECUTOR_UNAVAILABLE', `no executor works here: ${reasons.join('; ')}`, { hints });
}

/**
 * All executors that work here, the one that a usual run would take first; with a choice, this one alone.
 *
 * @throws VmbuildError EXECUTOR_UNAVAILABLE if there is none.
 */
export async function workingExecutors(choice: ExecutorChoice, store: Store, emit: Emit): Promise<readonly Executor[]> {
  const first = await executorChooser(choice, store, emit)();
  if (choice !== 'auto' || first.name === 'docker') return [first];
  const docker = await load('docker');
  return (await docker.probe(stagingPath(store))).available ? [first, docker] : [first];
}

async function load(name: ExecutorName): Promise<Executor> {
  if (name === 'namespace') {
    return (await import('../executors/namespace/namespaceExecutor.ts')).createNamespaceExecutor();
  }
  return (await import('../executors/docker/dockerExecutor.ts')).createDockerExecutor();
}
