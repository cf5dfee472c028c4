import { describe, expect, it } from 'vitest';
import { VmbuildError } from '../../src/model/errors.ts';
import { LIMIT_NAMES, limitReached, outputCounter, parseLimit, stepLimits } from '../../src/model/limits.ts';

describe('parseLimit', () => {
  it.each([
    ['wall', '2h', 7200],
    ['wall', '90min', 5400],
    ['silence', '1.5 s', 1.5],
    ['cpu', '24d', 24 * 86400],
    ['memory', '4GiB', 4 * 2 ** 30],
    ['memory', '1.5 kB', 1500],
    ['log', '1000', 1000],
    ['output', '0.1KiB', 103],
    ['pids', '500', 500],
    ['wall', 'none', 'none'],
  ] as const)('reads %s %s', (name, text, value) => {
    expect(parseLimit(name, text, 'x', 'USAGE')).toBe(value);
  });

  it.each([
    ['wall', '2'],
    ['wall', '0s'],
    ['wall', '-1s'],
    ['wall', '25d'],
    ['wall', '4GiB'],
    ['cpu', ''],
    ['memory', '0'],
    ['memory', '2h'],
    ['memory', '1e9'],
    ['pids', '0'],
    ['pids', '1.5'],
    ['pids', '10000000000'],
    ['pids', 'None'],
  ] as const)('refuses %s %s, and says where', (name, text) => {
    expect(() => parseLimit(name, text, 'recipe.ts: limits', 'RECIPE_INVALID')).toThrow(
      expect.objectContaining({ code: 'RECIPE_INVALID', message: expect.stringMatching(/^recipe\.ts: limits: /) }),
    );
  });
});

describe('stepLimits', () => {
  it('takes what the flag says, then the recipe, then the default', () => {
    expect(stepLimits({}, {}).limits).toEqual({ log: 2 ** 30, output: 2 ** 35 });
    const recipe = { wall: 10, memory: 100, log: 'none' } as const;
    expect(stepLimits(recipe, {})).toEqual({
      limits: { wall: 10, memory: 100, output: 2 ** 35 },
      required: ['wall', 'memory'],
    });
    expect(stepLimits(recipe, { wall: 'none', memory: 50, log: 7, output: 'none' })).toEqual({
      limits: { memory: 50, log: 7 },
      required: [],
    });
  });
});

describe('errors of limits', () => {
  it.each(LIMIT_NAMES)('%s: its own code, the limit, and what to do', (name) => {
    const error = limitReached('app', name, 7200, 7300);
    expect(error).toBeInstanceOf(VmbuildError);
    expect(error).toMatchObject({ code: `LIMIT_${name.toUpperCase()}`, step: 'app' });
    expect(error.message).toContain(`${name}=`);
    expect(error.hints.join()).toContain(`--limit ${name}=`);
  });

  it('names the file with which the output becomes too large', () => {
    const count = outputCounter(100);
    count('a', 60);
    count('b', 40);
    expect(() => count('c\n', 1)).toThrow(/"c\\n" has 1 B and makes it 101 B/);
  });
});
