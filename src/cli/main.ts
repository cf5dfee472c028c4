import { Command, CommanderError, Option } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { explainSystemError, VmbuildError } from '../model/errors.ts';
import { exitCodeOf } from './exitCodes.ts';
import { errorAsJson, renderError } from './render/error.ts';

const { version } = packageJson;

/**
 * The command line. Each command's code is loaded when it runs, so that `vmbuild ls` does not pay for what
 * only `vmbuild realize` needs.
 */
function program(): Command {
  const command = new Command('vmbuild')
    .description('Reproducible builds of open firmware.')
    .version(version)
    .option('--store <folder>', 'where artifacts, sources and images are kept (or VMBUILD_STORE)')
    .addOption(repeatable('--recipes <folder>', 'another folder of recipes, with docker/ beside it; may be repeated'))
    .showHelpAfterError('(vmbuild --help shows what there is)')
    .exitOverride();

  fetchOptions(
    command
      .command('realize')
      .alias('realise')
      .description('build targets, or take them from the store, and say where they are')
      .argument('<target...>')
      .addOption(
        new Option('--executor <name>', 'what runs the steps').choices(['auto', 'namespace', 'docker']).default('auto'),
      )
      .option('--jobs <n>', 'steps at once', positiveInteger('--jobs'))
      .option('--cores <n>', 'parallel jobs inside a step (VMBUILD_JOBS)', positiveInteger('--cores'))
      .option('--rebuild', 'execute the named targets although they are realised, and compare')
      .option('--rebuild-all', 'the same for everything that they need')
      .option('--keep-failed', 'keep the files of a step that fails')
      .option('--dry-run', 'only say what would be fetched, built and reused, and why')
      .option('-o, --output <folder>', 'copy the artifacts there, with a SHA256SUMS')
      .option('--json', 'events as lines of JSON'),
  ).action(async (targets, options, self) =>
    (await import('./commands/realize.ts')).realizeCommand(targets, { ...self.optsWithGlobals(), ...options }, version),
  );

  command
    .command('ls')
    .description('list the targets, and which of them are in the store')
    .option('--json', 'as JSON')
    .action(async (_options, self) => (await import('./commands/ls.ts')).lsCommand(self.optsWithGlobals()));

  command
    .command('show')
    .description('show a target: derivation, build key, digest, what it is made of')
    .argument('<target>')
    .option('--json', 'as JSON')
    .action(async (target, _options, self) =>
      (await import('./commands/show.ts')).showCommand(target, self.optsWithGlobals()),
    );

  command
    .command('log')
    .description('print the log of the last run of a step')
    .argument('<target>', 'a target or a build key')
    .action(async (target, _options, self) =>
      (await import('./commands/log.ts')).logCommand(target, self.optsWithGlobals()),
    );

  fetchOptions(
    command
      .command('update')
      .description('resolve image locks and sources anew and show what changed')
      .argument('[name...]', 'images, or targets whose sources are fetched anew; all images unless given')
      .option('--dry-run', 'only show it'),
  ).action(async (names, _options, self) =>
    (await import('./commands/update.ts')).updateCommand(names, self.optsWithGlobals()),
  );

  command.addCommand(imageCommands());
  command
    .command('gc')
    .description('remove what no root keeps and no running vmbuild uses')
    .option('--dry-run', 'only say what would be removed')
    .option('--max-size <size>', 'stop as soon as the store is no larger than this, for example 20GiB')
    .option('--older-than <time>', 'leave what was used within this time, for example 30d')
    .option('--outputs-only', 'let roots keep their artifacts only, not what they were made of')
    .option('--json', 'as JSON')
    .action(async (_options, self) => (await import('./commands/gc.ts')).gcCommand(self.optsWithGlobals()));

  command.addCommand(rootCommands());
  command.addCommand(storeCommands());
  return command;
}

function rootCommands(): Command {
  const root = new Command('root').description('what garbage collection keeps').exitOverride();
  root
    .command('ls')
    .description('list the roots: the last result of each target, and what was added')
    .option('--json', 'as JSON')
    .action(async (_options, self) => (await import('./commands/root.ts')).rootLs(self.optsWithGlobals()));
  root
    .command('add')
    .description('keep a result that is in the store, with all that it was made of')
    .argument('<result>', 'a target, a derivation hash or a build key')
    .option('--outputs-only', 'without what it was made of')
    .action(async (what, _options, self) => (await import('./commands/root.ts')).rootAdd(what, self.optsWithGlobals()));
  root
    .command('rm')
    .description('forget a root; the next gc removes what only it kept')
    .argument('<root>', 'a target, a derivation hash or a build key')
    .action(async (what, _options, self) => (await import('./commands/root.ts')).rootRm(what, self.optsWithGlobals()));
  return root;
}

function storeCommands(): Command {
  const store = new Command('store').description('what is in the store').exitOverride();
  store
    .command('check')
    .description('compute every digest again, and name what is damaged, missing or does not belong there')
    .option('--json', 'as lines of JSON')
    .action(async (_options, self) => (await import('./commands/store.ts')).storeCheckCommand(self.optsWithGlobals()));
  return store;
}

function imageCommands(): Command {
  const image = new Command('image').description('images that build steps run in').exitOverride();
  image
    .command('ls')
    .description('list the images')
    .option('--json', 'as JSON')
    .action(async (_options, self) => (await import('./commands/image.ts')).imageLs(self.optsWithGlobals()));
  fetchOptions(image.command('build').description('assemble an image from its lock').argument('<name>')).action(
    async (name, _options, self) => (await import('./commands/image.ts')).imageBuild(name, self.optsWithGlobals()),
  );
  fetchOptions(
    image
      .command('lock')
      .description('resolve the wanted packages to exact ones and write lock.json')
      .argument('<name>'),
  ).action(async (name, _options, self) =>
    (await import('./commands/image.ts')).imageLock(name, self.optsWithGlobals()),
  );
  fetchOptions(
    image
      .command('export')
      .description('write an image as OCI layout, or as an archive for docker load')
      .argument('<name>')
      .argument('<destination>', 'a folder that does not exist yet, or a .tar file')
      .addOption(new Option('--format <format>').choices(['oci', 'docker']).default('oci')),
  ).action(async (name, destination, _options, self) =>
    (await import('./commands/image.ts')).imageExport(name, destination, self.optsWithGlobals()),
  );
  return image;
}

/** Options of every command that may fetch something. */
function fetchOptions(command: Command): Command {
  return command
    .addOption(repeatable('--source-dir <folder>', 'look for sources here first, by name or digest; may be repeated'))
    .option('--offline', 'use no network');
}

/** An option that may be given several times; its value is a list. */
function repeatable(flags: string, description: string): Option {
  return new Option(flags, description)
    .argParser((value: string, previous: readonly string[]) => [...previous, value])
    .default([], 'none');
}

function positiveInteger(option: string): (text: string) => number {
  return (text) => {
    if (!/^[1-9]\d{0,3}$/.test(text)) {
      throw new VmbuildError('USAGE', `${option} must be a whole number from 1 to 9999, not ${JSON.stringify(text)}`);
    }
    return Number(text);
  };
}

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever reads may stop (`vmbuild log … | head`); that is no failure, and no reason to stop building.
    if (error.code !== 'EPIPE') process.exitCode = exitCodeOf(explainSystemError(error, 'printing')) || 1;
  });
}

try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed its message; help and version are no failures.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    if (process.argv.includes('--json')) process.stdout.write(errorAsJson(error));
    process.stderr.write(
      renderError(error, { color: process.stderr.isTTY, debug: process.env['VMBUILD_DEBUG'] === '1' }),
    );
    process.exitCode = exitCodeOf(error);
  }
}
