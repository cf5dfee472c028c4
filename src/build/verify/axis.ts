import type { ExecutorName } from '../../executors/executor.ts';
import type { Variations } from '../../model/variations.ts';
import type { StoredImage } from '../../store/images.ts';
import type { Probe } from './probe.ts';

/**
 * `contract`: what the sandbox does not fix, so that a step must not depend on it; these decide the verdict.
 * `hardening`: what the sandbox does fix; other ways to run the recipe may not, so a dependence on it is worth a warning.
 */
type AxisKind = 'contract' | 'hardening';

/** What a machine has to vary a step with. */
export interface Machine {
  readonly executor: ExecutorName;
  /** The executor that made what is verified; undefined if its statement names none that is known here. */
  readonly firstExecutor: ExecutorName | undefined;
  /** VMBUILD_JOBS of a usual run. */
  readonly cores: number;
  /** Numbers of the processors that this process may use. */
  readonly cpus: readonly number[];
  /** A folder on a tmpfs that has room for the inputs, if there is one. */
  readonly memoryFolder: string | undefined;
  /** The library of libfaketime, if it is installed. */
  readonly faketime: string | undefined;
  /** A module that Python loads at its start, with which it can sleep under that library. */
  readonly pythonSleep: string;
  /** A file like /proc/cpuinfo with fewer flags. */
  readonly cpuinfo: string;
  /** The step's image, with folders that list another order, if there is room for that. */
  readonly reorderedImage: StoredImage | undefined;
}

/** How the inputs of a step are given to it. */
export interface InputCopies {
  /** Copied to a tmpfs, the last name first: their folders then list another order. */
  readonly reordered?: boolean;
  /** With times of their own. */
  readonly times?: boolean;
}

/** What an axis changes. */
export interface Change {
  readonly variations?: Variations;
  /** VMBUILD_JOBS. */
  readonly cores?: number;
  /** Copies of the inputs, and not what is in the store. */
  readonly copies?: InputCopies;
  /** Instead of the one in the store. */
  readonly image?: StoredImage;
}

/** One thing about the surroundings of a step, and how to make it different. */
export interface Axis {
  readonly name: string;
  readonly kind: AxisKind;
  /** What is different, in words: `the clock is three years ahead`. */
  readonly about: string;
  /** How to vary it on this machine, or why it cannot be. */
  readonly vary: (machine: Machine) => Change | { readonly impossible: string };
  /**
   * Whether programs see another value than usually. `static`: programs without a dynamic linker, if that makes a
   * difference.
   */
  readonly seen: (usual: Probe, varied: Probe) => boolean | { readonly dynamic: boolean; readonly static: boolean };
}
