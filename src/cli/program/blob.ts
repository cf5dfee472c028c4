import type { Command } from 'commander';

/** `vmbuild blob`. */
export function define(program: Command): void {
  const blob = program
    .command('blob')
    .description("the vendor blobs of this machine's user, by the slots of a platform");
  blob
    .command('add')
    .description('bind a file to the slots that it fills: an Fsp.fd, microcode, or a dump of the flash chip')
    .argument('<platform>')
    .argument('<file>')
    .option('--slot <name>', 'the only slot to bind it to')
    .action(async (platform, file, _options, self) =>
      (await import('../commands/blob.ts')).blobAdd(platform, file, self.optsWithGlobals()),
    );
  blob
    .command('ls')
    .description('list the slots of a platform, and what is bound to them')
    .argument('<platform>')
    .option('--json', 'as JSON')
    .action(async (platform, _options, self) =>
      (await import('../commands/blob.ts')).blobLs(platform, self.optsWithGlobals()),
    );
  blob
    .command('rm')
    .description('empty slots; the next gc removes the blobs, unless a root was made with them')
    .argument('<platform>')
    .argument('<slot...>')
    .action(async (platform, slots, _options, self) =>
      (await import('../commands/blob.ts')).blobRm(platform, slots, self.optsWithGlobals()),
    );
}
