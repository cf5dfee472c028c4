import { readFileSync } from 'node:fs';
import type { Variations } from '../../model/variations.ts';

/**
 * The command of a step, with those variations before it that Docker has no option for: a perl script that becomes the
 * command. An image without perl cannot have them; its step then fails, and says so.
 */
export function withPrelude(command: readonly string[], variations: Variations): readonly string[] {
  const { personality, batch, workDir, umask, pipedInput } = variations;
  const words = [
    ...(personality === undefined ? [] : [`personality=${personality}`]),
    ...(batch === true ? ['batch=1'] : []),
    ...(workDir === undefined ? [] : [`workDir=${workDir}`]),
    ...(umask === undefined ? [] : [`umask=${umask}`]),
    ...(pipedInput === true ? ['pipedInput=1'] : []),
  ];
  if (words.length === 0) return command;
  script ??= readFileSync(new URL('./prelude.pl', import.meta.url), 'utf8');
  return ['perl', '-e', script, ...words, '--', ...command];
}

let script: string | undefined;
