import { type Command, Option } from 'commander';
import { fetchOptions } from './options.ts';

/** `vmbuild diff`. */
export function define(program: Command): void {
  fetchOptions(
    program
      .command('diff')
      .description('name every difference of two artifacts, targets, files or folders, down to the deepest part')
      .argument('<before>', 'a digest of an artifact, a target, or a path')
      .argument('<after>')
      .option('--diffoscope', 'have diffoscope, in an image of its own, compare what vmbuild has no reader for')
      .addOption(
        new Option('--executor <name>', 'what runs diffoscope')
          .choices(['auto', 'namespace', 'docker'])
          .default('auto'),
      )
      .option('--json', 'as lines of JSON'),
  ).action(async (before, after, options, self) =>
    (await import('../commands/diff.ts')).diffCommand(before, after, { ...self.optsWithGlobals(), ...options }),
  );
}
