import { VmbuildError } from '../model/errors.ts';
import * as units from '../model/units.ts';

/** Bytes of the size that an option was given; throws USAGE. */
export function parseSize(option: string, text: string): number {
  return units.parseSize(text) ?? refuse(option, 'a size like 20GiB or 500MB', text);
}

/** Milliseconds of the time that an option was given; throws USAGE. */
export function parseTime(option: string, text: string): number {
  return units.parseTime(text) ?? refuse(option, 'a time like 30d or 12h', text);
}

function refuse(option: string, wanted: string, text: string): never {
  throw new VmbuildError('USAGE', `${option} must be ${wanted}, not ${JSON.stringify(text)}`);
}
