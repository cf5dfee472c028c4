import type { Command } from 'commander';

/** `vmbuild store`. */
export function define(program: Command): void {
  const store = program.command('store').description('what is in the store');
  store
    .command('check')
    .description('compute every digest again, and name what is damaged, missing or does not belong there')
    .option('--json', 'as lines of JSON')
    .action(async (_options, self) => (await import('../commands/store.ts')).storeCheckCommand(self.optsWithGlobals()));
}
