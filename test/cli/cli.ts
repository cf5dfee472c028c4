import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Fixture, REPOSITORY, storeWithImage } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';

/** The program as people start it. */
export const VMBUILD = join(REPOSITORY, 'bin', 'vmbuild');

/** What a finished vmbuild left. */
interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** vmbuild on the recipes of a fixture and a store of its own. */
export interface Cli {
  readonly store: string;
  /** Runs a command line to its end. */
  run(...args: string[]): Promise<Ended>;
  /** The same without any network, the loopback interface included. */
  runWithoutNetwork(...args: string[]): Promise<Ended>;
  start(...args: string[]): { readonly child: ChildProcess; readonly ended: Promise<Ended> };
}

/** A command line for a project; the store has the image unless another folder is named. */
export async function cliFor(project: Fixture, store?: string, env: Record<string, string> = {}): Promise<Cli> {
  const folder = store ?? (await storeWithImage()).layout.root;
  const home = join(await temporary(), 'home');
  mkdirSync(home);
  const environment = { PATH: process.env['PATH'], HOME: home, NO_COLOR: '1', ...env };
  const start = (prefix: readonly string[], args: readonly string[]) => {
    const command = [...prefix, VMBUILD, '--recipes', project.root.recipes, '--store', folder, ...args];
    const child = spawn(command[0] as string, command.slice(1), {
      env: environment,
      cwd: home,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const code = new Promise<number | null>((resolve) => child.on('close', resolve));
    const ended = Promise.all([code, text(child.stdout), text(child.stderr)]).then(
      ([exitCode, stdout, stderr]): Ended => ({ code: exitCode, stdout, stderr }),
    );
    return { child, ended };
  };
  return {
    store: folder,
    start: (...args) => start([], args),
    run: (...args) => start([], args).ended,
    runWithoutNetwork: (...args) => start(['unshare', '--user', '--map-root-user', '--net'], args).ended,
  };
}
