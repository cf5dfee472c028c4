import type { Command } from 'commander';
import { VERSION } from '../version.ts';

/** `vmbuild doctor`. */
export function define(program: Command): void {
  program
    .command('doctor')
    .description('say whether and how this machine can build, which limits each executor keeps, and what would help')
    .option('--offline', 'do not ask whether mirrors answer')
    .option('--json', 'as JSON')
    .action(async (_options, self) =>
      (await import('../commands/doctor.ts')).doctorCommand(self.optsWithGlobals(), VERSION),
    );
}
