import type { Command } from 'commander';

/** Commands that look at targets: `ls`, `show`, `log`. */
export function define(program: Command): void {
  program
    .command('ls')
    .description('list the targets, and which of them are in the store')
    .option('--json', 'as JSON')
    .action(async (_options, self) => (await import('../commands/ls.ts')).lsCommand(self.optsWithGlobals()));

  program
    .command('show')
    .description('show a target: derivation, build key, digest, what it is made of')
    .argument('<target>')
    .option('--json', 'as JSON')
    .action(async (target, _options, self) =>
      (await import('../commands/show.ts')).showCommand(target, self.optsWithGlobals()),
    );

  program
    .command('log')
    .description('print the log of the last run of a step')
    .argument('<target>', 'a target or a build key')
    .action(async (target, _options, self) =>
      (await import('../commands/log.ts')).logCommand(target, self.optsWithGlobals()),
    );
}
