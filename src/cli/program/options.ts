import { type Command, Option } from 'commander';
import { VmbuildError } from '../../model/errors.ts';

/** Options of every command that may fetch something. */
export function fetchOptions(command: Command): Command {
  return command
    .addOption(repeatable('--source-dir <folder>', 'look for sources here first, by name or digest; may be repeated'))
    .option('--offline', 'use no network');
}

/** An option that may be given several times; its value is a list. */
export function repeatable(flags: string, description: string): Option {
  return new Option(flags, description)
    .argParser((value: string, previous: readonly string[]) => [...previous, value])
    .default([], 'none');
}

/** Parses a whole number from 1 to 9999, for the option of that name. */
export function positiveInteger(option: string): (text: string) => number {
  return (text) => {
    if (!/^[1-9]\d{0,3}$/.test(text)) {
      throw new VmbuildError('USAGE', `${option} must be a whole number from 1 to 9999, not ${JSON.stringify(text)}`);
    }
    return Number(text);
  };
}

/** Parses a whole number from 0 to 9999, for the option of that name. */
export function naturalNumber(option: string): (text: string) => number {
  return (text) => (text === '0' ? 0 : positiveInteger(option)(text));
}
