import { type Command, Option } from 'commander';
import { VmbuildError } from '../../model/errors.ts';
import { VERSION } from '../version.ts';
import { fetchOptions } from './options.ts';

/** `vmbuild store`. */
export function define(program: Command): void {
  const store = program.command('store').description('what is in the store');
  fetchOptions(
    store
      .command('check')
      .description('compute every digest again, and name what is damaged, missing or does not belong there')
      .option('--repair', 'move away what is damaged, and make again what roots keep')
      .option('--dry-run', 'with --repair: only say what would be done')
      .addOption(
        new Option('--executor <name>', 'what makes it again').choices(['auto', 'namespace', 'docker']).default('auto'),
      )
      .option('--json', 'as lines of JSON'),
  ).action(async (_options, self) => {
    const options = self.optsWithGlobals();
    if (options.repair === true)
      return (await import('../commands/storeRepair.ts')).storeRepairCommand(options, VERSION);
    if (options.dryRun === true) throw new VmbuildError('USAGE', '--dry-run says what --repair would do');
    return (await import('../commands/store.ts')).storeCheckCommand(options);
  });
}
