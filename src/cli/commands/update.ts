import { type Relock, relockImage, writeLock } from '../../build/lockImage.ts';
import { type FetchOptions, type GlobalOptions, projectRoots } from '../settings.ts';
import { describeRelock, imageFolder, imageNames, provisioning } from './image.ts';

/** `vmbuild update`: resolves image locks anew and shows what changed. */
export async function updateCommand(
  names: readonly string[],
  options: GlobalOptions & FetchOptions & { readonly dryRun?: boolean },
): Promise<void> {
  const roots = projectRoots(options);
  const wanted = names.length > 0 ? names : await imageNames(roots);
  const folders = await Promise.all(wanted.map((name) => imageFolder(roots, name)));
  const relocks = await provisioning(options, async (provision) => {
    const done: Relock[] = [];
    for (const [index, name] of wanted.entries())
      done.push(await relockImage(name, folders[index] as string, provision));
    return done;
  });
  for (const relock of relocks) {
    process.stdout.write(describeRelock(relock));
    if (options.dryRun !== true) await writeLock(relock);
  }
  if (options.dryRun === true) process.stdout.write('nothing was written (--dry-run)\n');
}
