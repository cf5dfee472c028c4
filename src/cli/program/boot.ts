import type { Command } from 'commander';
import { fetchOptions, positiveInteger, repeatable } from './options.ts';

/** `vmbuild boot`. */
export function define(program: Command): void {
  fetchOptions(
    program
      .command('boot')
      .description('boot a ROM in QEMU, in the image of its boot recipe, and show its console')
      .argument('<target>', 'rom-<platform>')
      .addOption(repeatable('--disk <image>', 'a disk of the machine; what is written to it is lost; may be repeated'))
      .option('--interactive', 'connect this terminal to the console; Ctrl-] switches the machine off')
      .addOption(repeatable('--expect <text>', 'end with success when the console has shown this; may be repeated'))
      .option('--timeout <seconds>', 'how long to wait for what is expected', positiveInteger('--timeout'), 300)
      .option('--memory <MiB>', 'of the machine', positiveInteger('--memory'))
      .option('--cpus <n>', 'of the machine', positiveInteger('--cpus'))
      .option('--network', 'a network card, on a network of its own that leads nowhere'),
  ).action(async (target, _options, self) =>
    (await import('../commands/boot.ts')).bootCommand(target, self.optsWithGlobals()),
  );
}
