import { resolve } from 'node:path';
import { planSteps } from '../../build/plan.ts';
import { diffPaths } from '../../firmware/diffPaths.ts';
import { exists } from '../../io/files.ts';
import { isDigest } from '../../model/digest.ts';
import { VmbuildError } from '../../model/errors.ts';
import { artifactOf } from '../../model/realisation.ts';
import { claimTree } from '../../store/artifacts.ts';
import { type Context, openContext } from '../context.ts';
import { formatCount } from '../format.ts';
import { differenceText } from '../render/differences.ts';
import type { GlobalOptions } from '../settings.ts';

/** Options of `vmbuild diff`. */
interface DiffOptions extends GlobalOptions {
  readonly json?: boolean;
}

/**
 * `vmbuild diff`: where two artifacts, files or folders differ.
 *
 * @throws VmbuildError DIFFERENT if they do.
 */
export async function diffCommand(before: string, after: string, options: DiffOptions): Promise<void> {
  const context = await openContext(options, 'write');
  const [was, is] = [await pathOf(before, context), await pathOf(after, context)];
  const differences = diffPaths(was, is);
  for (const difference of differences) process.stdout.write(differenceText(difference, options.json === true));
  if (differences.length === 0) {
    if (options.json !== true) process.stdout.write('the same bytes\n');
    return;
  }
  throw new VmbuildError(
    'DIFFERENT',
    `${formatCount(differences.length, 'difference')} between ${before} and ${after}`,
  );
}

/** A path stays what it is; a digest and a target are artifacts of the store. */
async function pathOf(what: string, { evaluator, store }: Context): Promise<string> {
  if (isDigest(what)) {
    const path = await claimTree(store, what);
    if (path !== undefined) return path;
    throw new VmbuildError('NOT_REALISED', `the store has no artifact ${what}`);
  }
  if (await exists(resolve(what))) return resolve(what);
  const plan = await planSteps([await evaluator.evaluate(what)], store);
  const statement = plan.at(-1)?.statement;
  const path = statement && (await claimTree(store, artifactOf(statement)));
  if (path !== undefined) return path;
  throw new VmbuildError('NOT_REALISED', `${what} is not in the store as its recipe is now`, {
    hints: [`vmbuild realize ${what}`],
  });
}
