import { type Command, Option } from 'commander';
import { fetchOptions } from './options.ts';

/** `vmbuild image`. */
export function define(program: Command): void {
  const image = program.command('image').description('images that build steps run in');
  image
    .command('ls')
    .description('list the images')
    .option('--json', 'as JSON')
    .action(async (_options, self) => (await import('../commands/image.ts')).imageLs(self.optsWithGlobals()));
  fetchOptions(image.command('build').description('assemble an image from its lock').argument('<name>')).action(
    async (name, _options, self) => (await import('../commands/image.ts')).imageBuild(name, self.optsWithGlobals()),
  );
  fetchOptions(
    image
      .command('lock')
      .description('resolve the wanted packages to exact ones and write lock.json')
      .argument('<name>'),
  ).action(async (name, _options, self) =>
    (await import('../commands/image.ts')).imageLock(name, self.optsWithGlobals()),
  );
  fetchOptions(
    image
      .command('export')
      .description('write an image as OCI layout, or as an archive for docker load')
      .argument('<name>')
      .argument('<destination>', 'a folder that does not exist yet, or a .tar file')
      .addOption(new Option('--format <format>').choices(['oci', 'docker']).default('oci')),
  ).action(async (name, destination, _options, self) =>
    (await import('../commands/image.ts')).imageExport(name, destination, self.optsWithGlobals()),
  );
}
