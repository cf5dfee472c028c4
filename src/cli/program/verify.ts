import { type Command, Option } from 'commander';
import { VERSION } from '../version.ts';
import { fetchOptions, naturalNumber, positiveInteger } from './options.ts';

/** `vmbuild verify`. */
export function define(program: Command): void {
  fetchOptions(
    program
      .command('verify')
      .description('build realised targets again in changed surroundings, and compare every byte')
      .argument('<target...>')
      .option(
        '--depth <n>',
        'verify only so many levels below the targets; 0: the targets alone',
        naturalNumber('--depth'),
      )
      .option('--only <step...>', 'verify only these steps of the build graph')
      .option('--rounds <n>', 'how often each step is built', positiveInteger('--rounds'), 1)
      .option('--axis <names>', 'vary only these, with commas between')
      .option('--strict', 'what the sandbox fixes must not matter, either')
      .option('--recorded', 'what the store has a verification of, with as many rounds and axes, is not built again')
      .option('--bisect', 'after a difference, vary one axis at a time and name those that matter')
      .addOption(
        new Option('--executor <name>', 'what runs the steps; auto takes turns')
          .choices(['auto', 'namespace', 'docker'])
          .default('auto'),
      )
      .option('--jobs <n>', 'steps at once', positiveInteger('--jobs'))
      .option('--cores <n>', 'VMBUILD_JOBS of a usual run; the axis jobs varies it', positiveInteger('--cores'))
      .option('--json', 'what happens as lines of JSON'),
  ).action(async (targets, options, self) =>
    (await import('../commands/verify.ts')).verifyCommand(targets, { ...self.optsWithGlobals(), ...options }, VERSION),
  );
}
