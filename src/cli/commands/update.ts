import { createEvaluator, type Step } from '../../build/evaluate.ts';
import { createImageCatalog, findImageFolder } from '../../build/images.ts';
import { relockImage, writeLock } from '../../build/lockImage.ts';
import { openProject } from '../../build/project.ts';
import type { ProvisionOptions } from '../../build/provision.ts';
import { resolveSources, type SourceUpdate, writeSourceDigests } from '../../build/updateSources.ts';
import { type FetchOptions, type GlobalOptions, projectRoots } from '../settings.ts';
import { describeRelock, imageNames, provisioning } from './image.ts';

/** Resolves one thing anew, and returns what changed for people and how to write it. */
type Update = (provision: ProvisionOptions) => Promise<{ readonly text: string; readonly write: () => Promise<void> }>;

/**
 * `vmbuild update`: an image's packages are resolved against today's mirrors, a target's sources are fetched from
 * their locations again; locks and recipes get what came out. All images, unless names are given.
 */
export async function updateCommand(
  names: readonly string[],
  options: GlobalOptions & FetchOptions & { readonly dryRun?: boolean },
): Promise<void> {
  const roots = projectRoots(options);
  const evaluator = createEvaluator(openProject(roots), createImageCatalog(roots));
  const updates: Update[] = [];
  for (const name of names.length > 0 ? names : await imageNames(roots)) {
    const folder = await findImageFolder(roots, name);
    updates.push(folder === undefined ? updateSources(await evaluator.evaluate(name)) : updateImage(name, folder));
  }
  for (const update of updates) {
    const { text, write } = await provisioning(options, update);
    process.stdout.write(text);
    if (options.dryRun !== true) await write();
  }
  if (options.dryRun === true) process.stdout.write('nothing was written (--dry-run)\n');
}

function updateImage(name: string, folder: string): Update {
  return async (provision) => {
    const relock = await relockImage(name, folder, provision);
    return { text: describeRelock(relock), write: () => writeLock(relock) };
  };
}

function updateSources(step: Step): Update {
  return async (provision) => {
    const updates = await resolveSources(step, provision);
    const lines = updates.length === 0 ? ['  no sources'] : updates.map(describe);
    return {
      text: `${step.target}: ${step.recipeFile}\n${lines.join('\n')}\n`,
      write: () => writeSourceDigests(step.recipeFile, updates),
    };
  };
}

function describe({ mount, name, from, to }: SourceUpdate): string {
  return from === to ? `  = ${mount} (${name}) ${to}` : `  ~ ${mount} (${name})\n    ${from} →\n    ${to}`;
}
