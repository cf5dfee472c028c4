import { Command, CommanderError } from 'commander';
import { explainSystemError } from '../model/errors.ts';
import { exitCodeOf } from './exitCodes.ts';
import { repeatable } from './program/options.ts';
import { errorAsJson, renderError } from './render/error.ts';
import { VERSION } from './version.ts';

/** Adds a command, or several that belong together, to the program. */
interface CommandModule {
  readonly define: (program: Command) => void;
}

/**
 * Where each command is defined, in the order of the help. Only the wanted one is loaded, and its code when it runs, so that
 * `vmbuild ls` does not pay for what only `vmbuild realize` needs.
 */
const MODULES: readonly (readonly [names: readonly string[], load: () => Promise<CommandModule>])[] = [
  [['realize', 'realise'], () => import('./program/realize.ts')],
  [['verify'], () => import('./program/verify.ts')],
  [['challenge'], () => import('./program/challenge.ts')],
  [['diff'], () => import('./program/diff.ts')],
  [['ls', 'show', 'log'], () => import('./program/look.ts')],
  [['boot'], () => import('./program/boot.ts')],
  [['update'], () => import('./program/update.ts')],
  [['image'], () => import('./program/image.ts')],
  [['blob'], () => import('./program/blob.ts')],
  [['inspect', 'compare', 'size'], () => import('./program/rom.ts')],
  [['gc', 'root'], () => import('./program/gc.ts')],
  [['store'], () => import('./program/store.ts')],
  [['doctor'], () => import('./program/doctor.ts')],
  [['cache', 'key'], () => import('./program/cache.ts')],
  [['export', 'import'], () => import('./program/closure.ts')],
];

/** Options that stand before the command and take a value. */
const GLOBAL_OPTIONS = ['--store', '--recipes'];

/** The command line, with the commands that `words` may mean: the one that is named, or else all. */
async function program(words: readonly string[]): Promise<Command> {
  const command = new Command('vmbuild')
    .description('Reproducible builds of open firmware.')
    .version(VERSION)
    .option('--store <folder>', 'where artifacts, sources and images are kept (or VMBUILD_STORE)')
    .addOption(repeatable('--recipes <folder>', 'another folder of recipes, with docker/ beside it; may be repeated'))
    .showHelpAfterError('(vmbuild --help shows what there is)')
    .exitOverride();
  const name = words.find((word, index) => !word.startsWith('-') && !GLOBAL_OPTIONS.includes(words[index - 1] ?? ''));
  const wanted = MODULES.filter(([names]) => name !== undefined && names.includes(name));
  for (const [, load] of wanted.length === 0 ? MODULES : wanted) (await load()).define(command);
  return command;
}

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever reads may stop (`vmbuild log … | head`); that is no failure, and no reason to stop building.
    if (error.code !== 'EPIPE') process.exitCode = exitCodeOf(explainSystemError(error, 'printing')) || 1;
  });
}

try {
  await (await program(process.argv.slice(2))).parseAsync();
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
