import type { Command } from 'commander';

/** `vmbuild gc` and `vmbuild root`. */
export function define(program: Command): void {
  program
    .command('gc')
    .description('remove what no root keeps and no running vmbuild uses')
    .option('--dry-run', 'only say what would be removed')
    .option('--max-size <size>', 'stop as soon as the store is no larger than this, for example 20GiB')
    .option('--older-than <time>', 'leave what was used within this time, for example 30d')
    .option('--outputs-only', 'let roots keep their artifacts only, not what they were made of')
    .option('--json', 'as JSON')
    .action(async (_options, self) => (await import('../commands/gc.ts')).gcCommand(self.optsWithGlobals()));

  const root = program.command('root').description('what garbage collection keeps');
  root
    .command('ls')
    .description('list the roots: the last result of each target, and what was added')
    .option('--json', 'as JSON')
    .action(async (_options, self) => (await import('../commands/root.ts')).rootLs(self.optsWithGlobals()));
  root
    .command('add')
    .description('keep a result that is in the store, with all that it was made of')
    .argument('<result>', 'a target, a derivation hash or a build key')
    .option('--outputs-only', 'without what it was made of')
    .action(async (what, _options, self) =>
      (await import('../commands/root.ts')).rootAdd(what, self.optsWithGlobals()),
    );
  root
    .command('rm')
    .description('forget a root; the next gc removes what only it kept')
    .argument('<root>', 'a target, a derivation hash or a build key')
    .action(async (what, _options, self) => (await import('../commands/root.ts')).rootRm(what, self.optsWithGlobals()));
}
