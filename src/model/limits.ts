import { type ErrorCode, VmbuildError } from './errors.ts';
import { formatBytes, parseSize, parseTime } from './units.ts';

/**
 * What one execution of a step may use up; what is not there is not limited. Limits are no part of what a step is:
 * neither derivation nor build key knows them. A step that runs into one gives no artifact.
 */
export interface Limits {
  /** Seconds from the start of the command to its end. */
  readonly wall?: number;
  /** Seconds without a byte on standard output or standard error. */
  readonly silence?: number;
  /** Seconds of processor time of all its processes together. */
  readonly cpu?: number;
  /** Bytes of memory of all its processes together, with what it keeps in file systems in memory. */
  readonly memory?: number;
  /** Processes and threads at once. */
  readonly pids?: number;
  /** Bytes on standard output and standard error. */
  readonly log?: number;
  /** Bytes of the files in /out, as their sizes say: holes count, and a file with several names counts each time. */
  readonly output?: number;
}

export type LimitName = keyof Limits;

/** Every limit, in the order in which people are told of them. */
export const LIMIT_NAMES = ['wall', 'silence', 'cpu', 'memory', 'pids', 'log', 'output'] as const satisfies LimitName[];

/** What a recipe or a flag says: another limit, or none. */
export type LimitChanges = Readonly<Partial<Record<LimitName, number | 'none'>>>;

/**
 * Limits of every step that does not say otherwise: far beyond what a build prints or leaves, and what keeps one that
 * has gone wrong (an endless message, a sparse file of a terabyte) from filling the disk.
 */
const DEFAULT_LIMITS: Limits = { log: 2 ** 30, output: 32 * 2 ** 30 };

type Kind = 'time' | 'size' | 'count';

/** What each limit is measured in, the code of the error, and the beginning of its message. */
const FACTS: Readonly<Record<LimitName, readonly [kind: Kind, code: ErrorCode, what: string]>> = {
  wall: ['time', 'LIMIT_WALL', 'ran longer than'],
  silence: ['time', 'LIMIT_SILENCE', 'printed nothing for'],
  cpu: ['time', 'LIMIT_CPU', 'used more processor time than'],
  memory: ['size', 'LIMIT_MEMORY', 'needed more memory than'],
  pids: ['count', 'LIMIT_PIDS', 'had more processes and threads at once than'],
  log: ['size', 'LIMIT_LOG', 'printed more than'],
  output: ['size', 'LIMIT_OUTPUT', 'left more in /out than'],
};

/** A timer can wait no longer (2^31 milliseconds). */
const LONGEST = 24 * 24 * 3600;

/**
 * A limit as recipes and flags write it: `2h`, `4GiB`, `500`, `none`. Times are `s`, `min`, `h` or `d`, sizes as bytes, `MiB`,
 * `GiB` and so on.
 *
 * @throws VmbuildError of the given code; `where` names the option, or file and field.
 */
export function parseLimit(name: LimitName, text: string, where: string, code: ErrorCode): number | 'none' {
  if (text === 'none') return 'none';
  const [kind] = FACTS[name];
  const value = { time: () => parseTime(text), size: () => parseSize(text), count: () => parseCount(text) }[kind]();
  const number = kind === 'time' && value !== undefined ? value / 1000 : Math.ceil(value ?? 0);
  if (number > 0 && (kind !== 'time' || number <= LONGEST)) return number;
  const wanted = {
    time: 'a time of at most 24 days, for example 90min or 2h',
    size: 'a size, for example 4GiB',
    count: 'a number, for example 500',
  }[kind];
  throw new VmbuildError(code, `${where}: ${name} must be ${wanted}, or none; not ${JSON.stringify(text)}`);
}

function parseCount(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** The limits of a step, and which of them its recipe asks for; what a flag says goes before. */
export function stepLimits(
  recipe: LimitChanges,
  flags: LimitChanges,
): { readonly limits: Limits; readonly required: readonly LimitName[] } {
  const changes = Object.entries({ ...DEFAULT_LIMITS, ...recipe, ...flags }).filter(([, value]) => value !== 'none');
  return {
    limits: Object.fromEntries(changes),
    required: LIMIT_NAMES.filter((name) => !Object.hasOwn(flags, name) && typeof recipe[name] === 'number'),
  };
}

/** The error of a step that has run into a limit. `used`: how much it was, where that is more than the limit says. */
export function limitReached(step: string, name: LimitName, limit: number, used?: number): VmbuildError {
  const found = used === undefined ? '' : ` (${formatLimit(name, used)})`;
  return reached(name, `${step} ${FACTS[name][2]} its limit${found}: ${name}=${formatLimit(name, limit)}`, step);
}

/**
 * Counts files against a limit of bytes, as their sizes say.
 *
 * @throws VmbuildError LIMIT_OUTPUT that names the file with which it goes beyond.
 */
export function outputCounter(limit: number): (path: string, size: number) => void {
  let total = 0;
  return (path, size) => {
    total += size;
    if (total <= limit) return;
    const sizes = `${JSON.stringify(path)} has ${formatBytes(size)} and makes it ${formatBytes(total)}`;
    throw reached('output', `/out holds more than its limit: output=${formatBytes(limit)}; ${sizes}`);
  };
}

function reached(name: LimitName, message: string, step?: string): VmbuildError {
  return new VmbuildError(FACTS[name][1], message, {
    step,
    hints: [`If it needs more, raise the limit: --limit ${name}=<more>, or \`limits\` in its recipe.`],
  });
}

/** A limit for people: `2 h`, `90 s`, `4.0 GiB`, `500`. */
export function formatLimit(name: LimitName, value: number): string {
  return format(FACTS[name][0], value);
}

function format(kind: Kind, value: number): string {
  if (kind === 'count') return String(value);
  if (kind === 'size') return formatBytes(value);
  if (value >= 7200) return `${Number((value / 3600).toFixed(1))} h`;
  return value >= 120 ? `${Number((value / 60).toFixed(1))} min` : `${Number(value.toFixed(1))} s`;
}
