import { VmbuildError } from '../model/errors.ts';

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

/** Bytes of a size as people write it: `500MB`, `20GiB`, `1.5 TiB`, a plain number of bytes. */
export function parseSize(option: string, text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(text) ?? [];
  const factor = SIZES[unit?.toUpperCase() ?? ' '];
  if (number === undefined || factor === undefined)
    throw new VmbuildError('USAGE', `${option} must be a size like 20GiB or 500MB, not ${JSON.stringify(text)}`);
  return Number(number) * factor;
}

/** Milliseconds of a time as people write it: `90min`, `12h`, `30d`, `2w`. */
export function parseTime(option: string, text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([a-z]+)$/.exec(text) ?? [];
  const factor = TIMES[unit];
  if (number === undefined || factor === undefined)
    throw new VmbuildError('USAGE', `${option} must be a time like 30d or 12h, not ${JSON.stringify(text)}`);
  return Number(number) * factor;
}
