import type { Command } from 'commander';
import { fetchOptions } from './options.ts';

/** `vmbuild update`. */
export function define(program: Command): void {
  fetchOptions(
    program
      .command('update')
      .description('resolve image locks and sources anew and show what changed')
      .argument('[name...]', 'images, or targets whose sources are fetched anew; all images unless given')
      .option('--dry-run', 'only show it'),
  ).action(async (names, _options, self) =>
    (await import('../commands/update.ts')).updateCommand(names, self.optsWithGlobals()),
  );
}
