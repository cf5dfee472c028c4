import type { Executor } from '../../executors/executor.ts';
import { errorMessage, VmbuildError } from '../../model/errors.ts';
import type { StoredImage } from '../../store/images.ts';
import type { Store } from '../../store/openStore.ts';
import type { NotVaried, RoundChange, Surroundings } from './axes.ts';
import type { Axis } from './axis.ts';
import type { Probe } from './probe.ts';
import { runProbe } from './runProbe.ts';

/** What programs really see of a round. */
export interface Proof {
  readonly varied: readonly Axis[];
  readonly notVaried: readonly NotVaried[];
}

/** Finds out what programs see of what is varied, each image and executor once. */
export class Probes {
  /** By image, executor and what is varied. */
  readonly #probes = new Map<string, Promise<Probe>>();
  readonly #options: { readonly store: Store; readonly cores: number; readonly signal: AbortSignal };
  /** The executor in which the first build is taken to have run. */
  readonly #first: Executor;

  constructor(
    first: Executor,
    options: { readonly store: Store; readonly cores: number; readonly signal: AbortSignal },
  ) {
    this.#first = first;
    this.#options = options;
  }

  /** An axis that no program sees varied is not varied, whatever was tried. */
  async prove(
    image: StoredImage,
    executor: Executor,
    change: RoundChange,
    memoryFolder: string | undefined,
  ): Promise<Proof> {
    const { cores, signal } = this.#options;
    try {
      const usual = await this.#probe(
        image,
        this.#first,
        { variations: {}, cores, copies: undefined, image: undefined },
        undefined,
      );
      const varied = await this.#probe(image, executor, change, memoryFolder);
      const seen: Axis[] = [];
      const notSeen: NotVaried[] = [];
      for (const axis of change.tried) {
        const answer = axis.seen(usual, varied);
        const { dynamic, static: ofStatic } =
          typeof answer === 'boolean' ? { dynamic: answer, static: answer } : answer;
        if (dynamic) seen.push(axis);
        if (!dynamic) notSeen.push({ axis, reason: 'programs do not see it' });
        else if (!ofStatic) notSeen.push({ axis, reason: 'static programs (as Go makes them) do not see it' });
      }
      return { varied: seen, notVaried: notSeen };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof VmbuildError)) throw error;
      const reason = `what programs see cannot be found out: ${errorMessage(error)}`;
      return { varied: [], notVaried: change.tried.map((axis) => ({ axis, reason })) };
    }
  }

  #probe(
    image: StoredImage,
    executor: Executor,
    { variations, cores, copies, image: other }: Surroundings,
    memoryFolder: string | undefined,
  ): Promise<Probe> {
    const key = JSON.stringify([image.digest, executor.name, variations, cores, copies, other?.rootfs, memoryFolder]);
    let probe = this.#probes.get(key);
    if (probe === undefined) {
      const { store, signal } = this.#options;
      probe = runProbe(executor, image, { variations, cores, copies, image: other }, { store, memoryFolder, signal });
      probe.catch(() => {});
      this.#probes.set(key, probe);
    }
    return probe;
  }
}
