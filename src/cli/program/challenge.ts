import type { Command } from 'commander';
import { naturalNumber, repeatable } from './options.ts';

/** `vmbuild challenge`. */
export function define(program: Command): void {
  program
    .command('challenge')
    .description('compare what was built here with what others have published')
    .argument('<target...>')
    .option('--depth <n>', 'only so many levels below the targets; 0: the targets alone', naturalNumber('--depth'))
    .option('--only <step...>', 'only these steps of the build graph')
    .addOption(repeatable('--substituter <url>', 'ask this cache, too; may be repeated'))
    .option('--trusted', 'listen only to keys that are trusted')
    .option('--diff', 'fetch what is not the same, and show where it differs')
    .option('--offline', 'ask only caches that are folders')
    .option('--json', 'as lines of JSON')
    .action(async (targets, options, self) =>
      (await import('../commands/challenge.ts')).challengeCommand(targets, { ...self.optsWithGlobals(), ...options }),
    );
}
