import type { Command } from 'commander';

/** `vmbuild diff`. */
export function define(program: Command): void {
  program
    .command('diff')
    .description('name every difference of two artifacts, targets, files or folders, down to the deepest part')
    .argument('<before>', 'a digest of an artifact, a target, or a path')
    .argument('<after>')
    .option('--json', 'as lines of JSON')
    .action(async (before, after, options, self) =>
      (await import('../commands/diff.ts')).diffCommand(before, after, { ...self.optsWithGlobals(), ...options }),
    );
}
