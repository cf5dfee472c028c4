import { describe, expect, it } from 'vitest';
import { printable, printableName } from '../../src/model/printable.ts';

describe('what a build names or prints', () => {
  it.each([
    ['rom.bin', 'rom.bin'],
    ['ünï 名', 'ünï 名'],
    ['new\nline', '"new\\nline"'],
    ['\x1b[2Jgone', '"\\u001b[2Jgone"'],
    ['\x9b2J', '"\\u009b2J"'],
    ['txt.\u202enib', '"txt.\\u202enib"'],
  ])('moves no cursor as a name: %j', (name, shown) => {
    expect(printableName(name)).toBe(shown);
  });

  it('loses its control characters as text', () => {
    expect(printable('a\x1b[31mred\x1b[0m\x1b]0;title\x07\tb\n\x9b2J')).toBe('ared]0;title\tb\n2J');
  });
});
