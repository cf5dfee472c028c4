import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openContext } from '../../src/cli/context.ts';
import { planSteps } from '../../src/build/plan.ts';
import { artifactOf } from '../../src/model/realisation.ts';

/** coreboot's tools for finished images. */
export interface CorebootTools {
  /** Tool → path. */
  readonly paths: Readonly<Record<string, string>>;
  /** Those that our recipe builds, which know the descriptors of the 100 series and later; Debian's need not. */
  readonly ours: boolean;
}

const NAMES = ['cbfstool', 'ifittool', 'ifdtool'];

/** What the recipe coreboot-tools made, if the machine's store has it, or else what is installed; undefined if nothing is. */
export async function findCorebootTools(): Promise<CorebootTools | undefined> {
  const folder = await realisedTools();
  if (folder !== undefined) {
    return { paths: Object.fromEntries(NAMES.map((name) => [name, join(folder, name)])), ours: true };
  }
  const paths = NAMES.map((name): [string, string] => {
    const { stdout } = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    return [name, stdout.trim()];
  });
  return paths.every(([, path]) => path !== '') ? { paths: Object.fromEntries(paths), ours: false } : undefined;
}

async function realisedTools(): Promise<string | undefined> {
  try {
    const { evaluator, store } = await openContext({ recipes: [] }, 'read');
    const plan = await planSteps([await evaluator.evaluate('coreboot-tools')], store);
    const statement = plan.at(-1)?.statement;
    const folder = statement && store.layout.tree(artifactOf(statement));
    return folder !== undefined && existsSync(join(folder, 'cbfstool')) ? folder : undefined;
  } catch {
    return undefined; // no store at all
  }
}
