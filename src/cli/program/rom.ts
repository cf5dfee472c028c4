import type { Command } from 'commander';
import { positiveInteger } from './options.ts';

/** Commands that look into firmware images: `inspect`, `compare`, `size`. */
export function define(program: Command): void {
  program
    .command('inspect')
    .description('show what a firmware image consists of, and which recipe each part is from')
    .argument('<image>', 'a file, a target or the digest of an artifact')
    .option('--file <name>', 'the file of the artifact; the largest unless given')
    .option('--platform <name>', 'whose blobs and budget count, if it is a file')
    .option('--depth <n>', 'levels to show', positiveInteger('--depth'))
    .option('--all', 'sections of programs and the like, too')
    .option('--html <file>', 'write a page with a map drawn to scale')
    .option('--json', 'as JSON')
    .action(async (what, _options, self) =>
      (await import('../commands/inspect.ts')).inspectCommand(what, self.optsWithGlobals()),
    );

  program
    .command('compare')
    .description('compare what was read from a chip with an image that can be rebuilt')
    .argument('<dump>', 'the file that was read')
    .argument('<image>', 'a target, the digest of an artifact or a file')
    .option('--file <name>', 'the file of the artifact; the largest unless given')
    .option('--platform <name>', 'whose blobs are set apart, if the image is a file')
    .option('--json', 'as JSON')
    .action(async (dump, what, _options, self) =>
      (await import('../commands/compare.ts')).compareCommand(dump, what, self.optsWithGlobals()),
    );

  program
    .command('size')
    .description('show what takes the room in flash, against the budget and against the last result')
    .argument('<image>', 'a target, the digest of an artifact or a file')
    .option('--against <image>', 'compare with this; with the last other result of the target unless given')
    .option('--file <name>', 'the file of the artifact; the largest unless given')
    .option('--platform <name>', 'whose budget counts, if it is a file')
    .option('--json', 'as JSON')
    .action(async (what, _options, self) =>
      (await import('../commands/size.ts')).sizeCommand(what, self.optsWithGlobals()),
    );
}
