import type { Command } from 'commander';
import { VERSION } from '../version.ts';
import { fetchOptions } from './options.ts';

/** `vmbuild export` and `vmbuild import`. */
export function define(program: Command): void {
  fetchOptions(
    program
      .command('export')
      .description('write all that rebuilding targets takes, vmbuild included, to one file')
      .usage('[options] <target...> <file>')
      .argument('<target...>', 'targets, and last the file to write: name.vmb')
      .option('--artifacts', 'what was built, too')
      .option('--key <name>', 'the key to sign own builds with: a name, or the path of a file')
      .option('--json', 'events as lines of JSON'),
  ).action(async (words, _options, self) =>
    (await import('../commands/exportClosure.ts')).exportCommand(words, self.optsWithGlobals(), VERSION),
  );
  program
    .command('import')
    .description('take what an exported file, or the folder that it was unpacked to, has of sources and results')
    .argument('<file>', 'name.vmb, or a folder')
    .option('--json', 'as JSON')
    .action(async (file, _options, self) =>
      (await import('../commands/importClosure.ts')).importCommand(file, self.optsWithGlobals()),
    );
}
