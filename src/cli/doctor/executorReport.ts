import { createDockerExecutor } from '../../executors/docker/dockerExecutor.ts';
import type { Executor, ExecutorName, LimitTable } from '../../executors/executor.ts';
import { createNamespaceExecutor } from '../../executors/namespace/namespaceExecutor.ts';
import { errorMessage } from '../../model/errors.ts';

/** An executor on this machine. */
export interface ExecutorReport {
  readonly name: ExecutorName;
  readonly works: boolean;
  /** Version and the like of what it needs, where it works; else why it does not. */
  readonly about: string;
  readonly advice: readonly string[];
  /** Undefined where it does not work. */
  readonly limits: LimitTable | undefined;
}

/** Tries both executors for real. `scratchPrefix`: see Executor.probe. */
export async function reportExecutors(scratchPrefix: string): Promise<readonly ExecutorReport[]> {
  const docker = createDockerExecutor();
  return [
    await report(createNamespaceExecutor(), scratchPrefix, async () => 'a whole sandbox was set up and left again'),
    await report(docker, scratchPrefix, () => docker.about()),
  ];
}

async function report(
  executor: Executor,
  scratchPrefix: string,
  about: () => Promise<string>,
): Promise<ExecutorReport> {
  const { name } = executor;
  try {
    const availability = await executor.probe(scratchPrefix);
    if (!availability.available) {
      return { name, works: false, about: availability.reason, advice: availability.hints, limits: undefined };
    }
    return { name, works: true, about: await about(), advice: [], limits: await executor.limits() };
  } catch (error) {
    return { name, works: false, about: errorMessage(error), advice: [], limits: undefined };
  }
}
