import { type Command, Option } from 'commander';
import { VERSION } from '../version.ts';
import { limitChanges } from './limitOption.ts';
import { fetchOptions, positiveInteger, repeatable } from './options.ts';

/** `vmbuild realize`. */
export function define(program: Command): void {
  fetchOptions(
    program
      .command('realize')
      .alias('realise')
      .description('build targets, or take them from the store, and say where they are')
      .argument('<target...>')
      .addOption(
        new Option('--executor <name>', 'what runs the steps').choices(['auto', 'namespace', 'docker']).default('auto'),
      )
      .option('--jobs <n>', 'steps at once', positiveInteger('--jobs'))
      .option('--cores <n>', 'parallel jobs inside a step (VMBUILD_JOBS)', positiveInteger('--cores'))
      .option(
        '--limit <name=value,…>',
        'limits of every step, for example wall=2h,memory=4GiB; none removes one; may be repeated',
        limitChanges,
      )
      .option('--rebuild', 'execute the named targets although they are realised, and compare')
      .option('--rebuild-all', 'the same for everything that they need')
      .addOption(repeatable('--substituter <url>', 'ask this cache first; may be repeated'))
      .option('--no-substitute', 'ask no cache')
      .option('--substitute-only', 'build nothing: take everything from caches')
      .option('--keep-failed', 'keep the files of a step that fails')
      .option('--dry-run', 'only say what would be fetched, built and reused, and why')
      .option('-o, --output <folder>', 'copy the artifacts there, with a SHA256SUMS')
      .option('--json', 'events as lines of JSON'),
  ).action(async (targets, options, self) =>
    (await import('../commands/realize.ts')).realizeCommand(
      targets,
      { ...self.optsWithGlobals(), ...options },
      VERSION,
    ),
  );
}
