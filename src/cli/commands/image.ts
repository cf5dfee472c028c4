import { readdir } from 'node:fs/promises';
import { createImageCatalog, findImageFolder } from '../../build/images.ts';
import { type Relock, relockImage, writeLock } from '../../build/lockImage.ts';
import { createProvisioner, type ProvisionOptions } from '../../build/provision.ts';
import type { ProjectRoot } from '../../build/project.ts';
import { exportDockerArchive, exportOciLayout } from '../../images/export.ts';
import { type Digest, shortDigest, toDigest } from '../../model/digest.ts';
import { errorMessage, VmbuildError } from '../../model/errors.ts';
import { findImage } from '../../store/images.ts';
import { openStore, openStoreForReading } from '../../store/openStore.ts';
import { chooseRenderer } from '../chooseRenderer.ts';
import { formatCount, formatTable } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { type FetchOptions, fetchSettings, type GlobalOptions, projectRoots, storeFolder } from '../settings.ts';

type Options = GlobalOptions & FetchOptions;

/** Names of the images of all roots, sorted. */
export async function imageNames(roots: readonly ProjectRoot[]): Promise<readonly string[]> {
  const names = new Set<string>();
  for (const root of roots) {
    for (const name of await readdir(root.images).catch(() => [])) {
      if ((await findImageFolder([root], name)) !== undefined) names.add(name);
    }
  }
  return [...names].sort();
}

/** The folder of an image, or an error that names those there are. */
export async function imageFolder(roots: readonly ProjectRoot[], name: string): Promise<string> {
  const folder = await findImageFolder(roots, name);
  if (folder !== undefined) return folder;
  const names = (await imageNames(roots)).join(', ') || 'none';
  throw new VmbuildError('RECIPE_NOT_FOUND', `no image is called ${JSON.stringify(name)}`, {
    hints: [`Images: ${names}.`],
  });
}

/** `vmbuild image ls`. */
export async function imageLs(options: GlobalOptions & { readonly json?: boolean }): Promise<void> {
  const roots = projectRoots(options);
  const store = await openStoreForReading(await storeFolder(options));
  const catalog = createImageCatalog(roots);
  const rows: { name: string; digest: string | undefined; state: string }[] = [];
  for (const name of await imageNames(roots)) {
    try {
      const { digest } = await catalog(name, 'image ls');
      rows.push({ name, digest, state: (await findImage(store, digest)) === undefined ? '-' : 'in store' });
    } catch (error) {
      rows.push({ name, digest: undefined, state: errorMessage(error) });
    }
  }
  if (options.json === true) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  else process.stdout.write(formatTable(rows.map(({ name, digest, state }) => [name, digest ?? 'not locked', state])));
}

/** `vmbuild image build`: assembles what the lock says and checks that it is the locked image. */
export async function imageBuild(name: string, options: Options): Promise<void> {
  const image = await buildImage(name, options);
  process.stdout.write(`${name}  ${image.digest}\n  ${image.rootfs}\n`);
}

/** `vmbuild image lock`. */
export async function imageLock(name: string, options: Options): Promise<void> {
  const folder = await imageFolder(projectRoots(options), name);
  const relock = await provisioning(options, (provision) => relockImage(name, folder, provision));
  await writeLock(relock);
  process.stdout.write(describeRelock(relock));
}

/** `vmbuild image export`: an OCI layout, or an archive for `docker load`. */
export async function imageExport(
  name: string,
  destination: string,
  options: Options & { readonly format: 'oci' | 'docker' },
): Promise<void> {
  const image = await buildImage(name, options);
  using interrupt = interruptSignal();
  const named = { name: `vmbuild/${name}:${shortDigest(image.digest)}`, signal: interrupt.signal };
  if (options.format === 'docker') {
    await exportDockerArchive(image, destination, named);
    process.stdout.write(
      `${destination}: docker load -i ${destination} gives ${named.name}, image id sha256:${image.digest}\n`,
    );
    return;
  }
  const manifest = await exportOciLayout({ ...image, layerDigest: layerOf(image.config) }, destination, named);
  process.stdout.write(`${destination}: OCI layout, config sha256:${image.digest}, manifest sha256:${manifest}\n`);
}

/** A new lock for people: what it holds, and what is different. */
export function describeRelock({ name, file, lock, difference }: Relock): string {
  const madeOf =
    'pulled' in lock
      ? `${formatCount(lock.pulled.layers.length, 'layer')} of ${lock.from}, manifest sha256:${lock.pulled.manifest}`
      : `${lock.debs.length} packages of ${lock.suite}, ${lock.index.inRelease.date}`;
  const lines = [`${name}: ${madeOf}, image ${lock.image.digest}`];
  if (difference === undefined) lines.push(`  new lock: ${file}`);
  else if (difference.image === undefined) lines.push('  nothing changed');
  for (const deb of difference?.added ?? []) lines.push(`  + ${deb.name} ${deb.version}`);
  for (const deb of difference?.removed ?? []) lines.push(`  - ${deb.name} ${deb.version}`);
  for (const { from, to } of difference?.changed ?? []) lines.push(`  ~ ${to.name} ${from.version} → ${to.version}`);
  return `${lines.join('\n')}\n`;
}

/** Runs work that fetches and assembles, with progress and Ctrl-C. */
export async function provisioning<T>(options: Options, work: (provision: ProvisionOptions) => Promise<T>): Promise<T> {
  const store = await openStore(await storeFolder(options));
  const fetch = await fetchSettings(options);
  using interrupt = interruptSignal();
  using renderer = chooseRenderer(false);
  try {
    return await work({ store, fetch, emit: renderer.emit, signal: interrupt.signal });
  } catch (error) {
    // What was cut off in the middle may have failed in words of its own.
    interrupt.signal.throwIfAborted();
    throw error;
  }
}

async function buildImage(name: string, options: Options) {
  const roots = projectRoots(options);
  await imageFolder(roots, name);
  const locked = await createImageCatalog(roots)(name, `image ${name}`);
  return provisioning(options, async (provision) => {
    await using provisioner = createProvisioner(provision);
    return await provisioner.image(locked);
  });
}

/** The only layer's digest, which the OCI config names. */
function layerOf(config: string): Digest {
  const { rootfs } = JSON.parse(config) as { rootfs: { diff_ids: string[] } };
  return toDigest((rootfs.diff_ids[0] ?? '').replace('sha256:', ''));
}
