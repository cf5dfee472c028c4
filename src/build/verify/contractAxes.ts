import { ADDR_NO_RANDOMIZE, UNAME26 } from '../../model/variations.ts';
import type { Axis, Change } from './axis.ts';

/** Three years, and not a whole number of days: date, weekday and time are all other ones. */
const CLOCK_OFFSET_SECONDS = 3 * 365 * 86_400 + 12_345;

/** How often a processor was taken away. */
let turn = 0;

/** The round itself runs elsewhere. */
const NOTHING: Change = {};

/** What docs/sandbox.md does not fix. */
export const CONTRACT_AXES: readonly Axis[] = [
  {
    name: 'clock',
    kind: 'contract',
    about: 'the clock is three years ahead',
    vary: ({ faketime, pythonSleep }) => {
      if (faketime === undefined) return { impossible: 'libfaketime is not installed (Debian: libfaketime)' };
      return {
        variations: {
          files: { 'libfaketime.so.1': faketime, 'usercustomize.py': pythonSleep },
          environment: {
            LD_PRELOAD: '/dev/libfaketime.so.1',
            PYTHONPATH: '/dev',
            FAKETIME: `+${CLOCK_OFFSET_SECONDS}`,
            // Only the wall clock: times of files stay comparable with each other, and waits as long as they are.
            NO_FAKE_STAT: '1',
            FAKETIME_DONT_FAKE_MONOTONIC: '1',
          },
        },
      };
    },
    seen: (usual, varied) => ({
      dynamic: Math.abs(varied.time - usual.time) > CLOCK_OFFSET_SECONDS / 2,
      static: Math.abs(varied.staticTime - usual.staticTime) > CLOCK_OFFSET_SECONDS / 2,
    }),
  },
  {
    name: 'aslr',
    kind: 'contract',
    about: 'programs are always loaded at the same addresses',
    vary: () => ({ variations: { personality: ADDR_NO_RANDOMIZE } }),
    seen: (usual, varied) => usual.addresses.length > 1 && varied.addresses.length === 1,
  },
  {
    name: 'cpus',
    kind: 'contract',
    about: 'fewer processors',
    vary: ({ cpus }) => {
      if (cpus.length < 2) return { impossible: 'there is one processor only' };
      // By turns: of several steps at once, each should lack another one.
      const left = cpus.toSpliced(turn++ % cpus.length, 1);
      return { variations: { cpus: left } };
    },
    seen: (usual, varied) => usual.cpus !== varied.cpus,
  },
  {
    name: 'jobs',
    kind: 'contract',
    about: 'another VMBUILD_JOBS',
    vary: ({ cores }) => ({ cores: cores + 1 }),
    seen: (usual, varied) => usual.jobs !== varied.jobs,
  },
  {
    name: 'kernel',
    kind: 'contract',
    about: 'uname tells of a kernel 2.6',
    vary: () => ({ variations: { personality: UNAME26 } }),
    seen: (usual, varied) => ({
      dynamic: usual.kernel !== varied.kernel,
      static: usual.staticKernel !== varied.staticKernel,
    }),
  },
  {
    name: 'cpu-flags',
    kind: 'contract',
    about: '/proc/cpuinfo tells of a processor with fewer features (programs that ask the processor itself see all)',
    vary: ({ cpuinfo }) => ({ variations: { cpuinfo } }),
    seen: (usual, varied) => usual.cpuFlags !== varied.cpuFlags,
  },
  {
    name: 'directory-order',
    kind: 'contract',
    about: 'the folders of inputs list their names in another order',
    vary: ({ memoryFolder }) =>
      memoryFolder === undefined
        ? { impossible: 'there is no tmpfs with room for copies of the inputs' }
        : { copies: { reordered: true } },
    seen: (usual, varied) => usual.inputOrder !== varied.inputOrder,
  },
  {
    name: 'image-order',
    kind: 'contract',
    about: 'the folders of the image list their names in another order',
    vary: ({ executor, reorderedImage }) => {
      if (executor === 'docker') return { impossible: 'the Docker daemon lays images out itself' };
      return reorderedImage === undefined
        ? { impossible: 'there is no tmpfs with room for a copy of the image' }
        : { image: reorderedImage };
    },
    seen: (usual, varied) => usual.imageOrder !== varied.imageOrder,
  },
  {
    name: 'input-times',
    kind: 'contract',
    about: 'inputs are fresh copies with times and inode numbers of their own',
    vary: () => ({ copies: { times: true } }),
    seen: (usual, varied) => usual.inputTimes !== varied.inputTimes,
  },
  {
    name: 'file-system',
    kind: 'contract',
    about: '/build is on a tmpfs, whose folders list in another order',
    vary: () => ({ variations: { buildInMemory: true } }),
    seen: (usual, varied) => usual.buildFileSystem !== varied.buildFileSystem,
  },
  {
    name: 'executor',
    kind: 'contract',
    about: 'another executor',
    vary: ({ executor, firstExecutor }) =>
      executor === firstExecutor ? { impossible: 'this round runs in the executor of the first build' } : NOTHING,
    // The round itself runs there.
    seen: () => true,
  },
  {
    name: 'load',
    kind: 'contract',
    about: 'scheduled as a batch job of lower priority',
    vary: () => ({ variations: { batch: true } }),
    seen: (usual, varied) => usual.scheduling !== varied.scheduling,
  },
];
