import { VmbuildError } from '../../model/errors.ts';
import { type LimitChanges, LIMIT_NAMES, parseLimit } from '../../model/limits.ts';

/** Parses `wall=2h,memory=4GiB,log=none` of `--limit`, on top of what it was given before. */
export function limitChanges(text: string, previous: LimitChanges = {}): LimitChanges {
  const changes = { ...previous };
  for (const part of text.split(',')) {
    const [word, value] = part.split('=', 2);
    const name = LIMIT_NAMES.find((known) => known === word);
    if (name === undefined || value === undefined) {
      throw new VmbuildError('USAGE', `--limit ${JSON.stringify(part)} is not of the form <name>=<value>`, {
        hints: [`Names are ${LIMIT_NAMES.join(', ')}.`],
      });
    }
    changes[name] = parseLimit(name, value, '--limit', 'USAGE');
  }
  return changes;
}
