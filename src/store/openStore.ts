import { mkdirSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { exists, isWritable, removeTree, writeFileAtomic } from '../io/files.ts';
import { networkFileSystem } from '../io/fileSystem.ts';
import { isOwnerAlive, ownerPrefix } from '../io/owner.ts';
import { errorMessage, explainSystemError, systemErrorCode, VmbuildError } from '../model/errors.ts';
import { STORE_FOLDERS, STORE_FORMAT, type StoreLayout, storeLayout } from './layout.ts';
import { noPins, openPins, type Pins } from './pins.ts';
import { makeRoots } from './roots.ts';

/** An open store; the functions of this folder take it as their first argument. */
export interface Store {
  readonly layout: StoreLayout;
  /** What is pinned through this store stays in it until the pins are disposed of. */
  readonly pins: Pins;
}

/**
 * Opens the store in `root`, makes it if there is none, and removes what processes that are gone left in it.
 *
 * @throws VmbuildError STORE_UNUSABLE if it cannot be written, lies on a network file system, or is of a newer or unknown format.
 */
export async function openStore(root: string): Promise<Store> {
  const layout = storeLayout(root);
  try {
    refuseNetwork(layout);
    await checkFormat(layout);
    // Whoever was killed while it made the store left its file, also where another was faster.
    await sweep(layout.root, '.format.');
    mkdirSync(layout.temporary, { recursive: true });
    if (!isWritable(layout.temporary)) throw Object.assign(new Error('not writable'), { code: 'EACCES' });
    await sweep(layout.temporary);
    mkdirSync(layout.running, { recursive: true });
    await sweep(layout.running);
    await makeRoots(layout);
  } catch (error) {
    throw explainOpening(error, layout);
  }
  return { layout, pins: openPins(layout) };
}

/**
 * Opens the store in `root` to look things up only: nothing is made or swept, so it may be on a read-only disk or belong to
 * somebody else. A folder that is not there yet is an empty store.
 *
 * @throws VmbuildError STORE_UNUSABLE if it cannot be read, or is of a newer or unknown format.
 */
export async function openStoreForReading(root: string): Promise<Store> {
  const layout = storeLayout(root);
  try {
    await readableFormat(layout);
  } catch (error) {
    throw explainOpening(error, layout);
  }
  return { layout, pins: noPins };
}

/**
 * Locks and renames mean less on another machine's disk, and who is alive there nobody can tell: two machines would take each
 * other's processes for dead. Looking things up there is harmless.
 */
function refuseNetwork(layout: StoreLayout): void {
  // The real place: it may be reached through a link.
  const type = networkFileSystem(realPlace(layout.root));
  if (type === undefined) return;
  throw new VmbuildError('STORE_UNUSABLE', `the store ${layout.root} lies on a network file system: ${type}`, {
    hints: ['Use a folder on a disk of this machine: VMBUILD_STORE=<folder>.'],
  });
}

/** The path without links, as far as it is there. */
function realPlace(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return dirname(path) === path ? path : join(realPlace(dirname(path)), basename(path));
  }
}

/** A new store gets its file `format` before anything else, so a folder with the rest but without it is something else. */
async function checkFormat(layout: StoreLayout): Promise<void> {
  if ((await readableFormat(layout)) !== undefined) return;
  // Not in tmp/, which must not be there before the format.
  mkdirSync(layout.root, { recursive: true });
  await writeFileAtomic(layout.format, `${STORE_FORMAT}\n`, join(layout.root, `.format.${ownerPrefix()}`));
}

/** The store's format, one that this program knows; undefined where there is no store yet. */
async function readableFormat(layout: StoreLayout): Promise<number | undefined> {
  let text = readFormat(layout);
  if (text === undefined) {
    // Never adopt a folder that holds somebody's data under the names that a store uses.
    const foreign = await foreignName(layout);
    // Another process may just have made the store.
    text = readFormat(layout);
    if (text === undefined && foreign !== undefined) {
      throw unusable(layout, `has ${foreign}/ but no file \`format\`; it is damaged, or no store of vmbuild`);
    }
  }
  if (text === undefined) return undefined;
  const format = parseFormat(text, STORE_FORMAT);
  if (typeof format === 'string') throw unusable(layout, format);
  return format;
}

/** The number in the file `format`, if a program that knows formats up to `known` can read the store; else what is wrong. */
export function parseFormat(text: string, known: number): number | string {
  if (!/^[1-9]\d*\n?$/.test(text)) return `says format ${JSON.stringify(text.slice(0, 20))}`;
  const format = Number.parseInt(text, 10);
  return format > known ? `has format ${format}, newer than this vmbuild (${known}) knows` : format;
}

function readFormat(layout: StoreLayout): string | undefined {
  try {
    return readFileSync(layout.format, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function foreignName(layout: StoreLayout): Promise<string | undefined> {
  for (const name of STORE_FOLDERS) {
    if (await exists(join(layout.root, name))) return name;
  }
  return undefined;
}

function explainOpening(error: unknown, layout: StoreLayout): unknown {
  const explained = explainSystemError(error, `opening the store ${layout.root}`);
  if (explained instanceof VmbuildError || systemErrorCode(error) === undefined) return explained;
  return unusable(layout, `cannot be opened: ${errorMessage(error)}`, error);
}

/** A process marks what it has in tmp/ and running/ with who it is; what the dead left is rubbish. */
async function sweep(folder: string, prefix = ''): Promise<void> {
  for (const name of readdirSync(folder)) {
    if (name.startsWith(prefix) && !isOwnerAlive(name.slice(prefix.length))) await removeTree(join(folder, name));
  }
}

/** Prefix of a scratch folder of this process in tmp/. */
export function scratchPrefix(): string {
  return ownerPrefix();
}

/** What the path of a temporary file of this process begins with. It is swept like a scratch folder. */
export function stagingPath({ layout }: Pick<Store, 'layout'>): string {
  return join(layout.temporary, scratchPrefix());
}

function unusable(layout: StoreLayout, problem: string, cause?: unknown): VmbuildError {
  return new VmbuildError('STORE_UNUSABLE', `the store ${layout.root} ${problem}`, {
    cause,
    hints: ['Use a newer vmbuild, or another store: VMBUILD_STORE=<folder>.'],
  });
}
