/** The parts of a Debian version, `[epoch:]upstream[-revision]` (Debian policy §5.6.12). */
export interface DebianVersion {
  readonly epoch: number;
  readonly upstream: string;
  /** Empty if there is none, which sorts like `0`. */
  readonly revision: string;
}

const VERSION = /^(?:(\d{1,9}):)?([A-Za-z0-9.+~:-]+?)(?:-([A-Za-z0-9+.~]+))?$/;

/**
 * Splits a version.
 *
 * @throws TypeError for what is no version. The upstream part may begin with a letter: policy only
 * recommends a digit, and dpkg accepts such versions from an archive.
 */
export function parseDebianVersion(text: string): DebianVersion {
  const match = VERSION.exec(text);
  // A colon in the upstream part is only allowed where an epoch comes before it.
  if (match === null || (match[1] === undefined && match[2]?.includes(':'))) {
    throw new TypeError(`not a Debian version: ${JSON.stringify(text)}`);
  }
  return { epoch: Number(match[1] ?? 0), upstream: match[2] as string, revision: match[3] ?? '' };
}

/** Orders two versions: negative, zero or positive. `1.0` and `1.0-0` are equal. */
export function compareDebianVersions(a: string, b: string): number {
  if (a === b) return 0;
  const left = parseDebianVersion(a);
  const right = parseDebianVersion(b);
  return (
    left.epoch - right.epoch ||
    compareParts(left.upstream, right.upstream) ||
    compareParts(left.revision, right.revision)
  );
}

/** Relations of dependency fields (Debian policy §7.1); `<` and `>` are long obsolete. */
export type VersionRelation = '<<' | '<=' | '=' | '>=' | '>>';

/** True if `version` stands in `relation` to `wanted`. */
export function satisfiesVersion(version: string, relation: VersionRelation, wanted: string): boolean {
  const order = compareDebianVersions(version, wanted);
  switch (relation) {
    case '<<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '=':
      return order === 0;
    case '>=':
      return order >= 0;
    case '>>':
      return order > 0;
  }
}

/** Turn by turn a run of non-digits, compared by rank, and a run of digits, compared as a number. */
function compareParts(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a, i)) || (j < b.length && !isDigit(b, j))) {
      const difference = rank(a, i) - rank(b, j);
      if (difference !== 0) return difference;
      i += 1;
      j += 1;
    }
    const left = digits(a, i);
    const right = digits(b, j);
    i += left.length;
    j += right.length;
    const difference = compareNumbers(left, right);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** `~` before the end, the end (or a digit) before letters, letters before everything else. */
function rank(text: string, index: number): number {
  if (index >= text.length || isDigit(text, index)) return 0;
  const code = text.charCodeAt(index);
  if (code === 0x7e) return -1;
  const letter = (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
  return letter ? code : code + 256;
}

function isDigit(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return code >= 0x30 && code <= 0x39;
}

function digits(text: string, start: number): string {
  let end = start;
  while (end < text.length && isDigit(text, end)) end += 1;
  return text.slice(start, end);
}

/** Numbers of any length: a date with a time does not fit a double. */
function compareNumbers(a: string, b: string): number {
  const left = a.replace(/^0+/, '');
  const right = b.replace(/^0+/, '');
  if (left.length !== right.length) return left.length - right.length;
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
