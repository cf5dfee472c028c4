const SIZES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

const SECOND = 1000;
const TIMES: Readonly<Record<string, number>> = {
  s: SECOND,
  min: 60 * SECOND,
  h: 3600 * SECOND,
  d: 24 * 3600 * SECOND,
  w: 7 * 24 * 3600 * SECOND,
};

/** Bytes of a size as people write it: `500MB`, `20GiB`, `1.5 TiB`, a plain number of bytes. Undefined if it is none. */
export function parseSize(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(text) ?? [];
  const factor = SIZES[unit?.toUpperCase() ?? ' '];
  return number === undefined || factor === undefined ? undefined : Number(number) * factor;
}

/** Milliseconds of a time as people write it: `90min`, `12h`, `30d`, `2w`. Undefined if it is none. */
export function parseTime(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([a-z]+)$/.exec(text) ?? [];
  const factor = TIMES[unit];
  return number === undefined || factor === undefined ? undefined : Number(number) * factor;
}

/** Bytes for people: `3.2 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
