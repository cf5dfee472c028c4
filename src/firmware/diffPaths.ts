import { lstatSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { listTree } from '../io/tree.ts';
import type { TarEntry } from '../formats/tarHeader.ts';
import { compareTrees, type Difference } from './compareTrees.ts';
import { diffText } from './diffText.ts';
import type { Part, PartKind } from './parts/part.ts';
import { readRom } from './parts/readRom.ts';

/** One way in which two files or folders are not the same. */
export interface PathDifference {
  /** From the outermost to what really differs: `rom.bin`, `COREBOOT`, `fallback/payload`, `initramfs`, `bbin/bb`, `.text`. */
  readonly path: readonly string[];
  readonly change: 'added' | 'removed' | 'changed' | 'moved';
  /** What is different, in words; lines that differ follow, of text. */
  readonly detail: string;
  /** What is there on both sides, if it is a file and vmbuild has no reader for what is in it. */
  readonly unread?: { readonly before: Uint8Array; readonly after: Uint8Array } | undefined;
  /** The parts on `path` that the old file has, from the whole file down; undefined for what is no image of parts. */
  readonly old?: readonly Part[];
}

/** Larger files are compared as bytes alone; a ROM has at most 64 MiB. */
const MAX_PARSED = 512 * 1024 * 1024;

/**
 * Every difference of two files or two folders, each down to the deepest part that differs, as far as formats are known.
 *
 * @returns nothing exactly if both hold the same.
 */
export function diffPaths(before: string, after: string): readonly PathDifference[] {
  const folders = [before, after].map((path) => lstatSync(path).isDirectory());
  if (folders[0] !== folders[1])
    return [{ path: [basename(after)], change: 'changed', detail: 'a file → a folder, or back' }];
  return folders[0] === true ? diffFolders(before, after) : diffFiles(before, after, basename(after));
}

function diffFolders(before: string, after: string): readonly PathDifference[] {
  const old = new Map(listTree(before).map((entry) => [entry.path, entry]));
  const now = new Map(listTree(after).map((entry) => [entry.path, entry]));
  const names = [...new Set([...old.keys(), ...now.keys()])].sort();
  return names.flatMap((name): readonly PathDifference[] => {
    const [was, is] = [old.get(name), now.get(name)];
    if (is === undefined) return [{ path: [name], change: 'removed', detail: kindOf(was) }];
    if (was === undefined) return [{ path: [name], change: 'added', detail: kindOf(is) }];
    if (was.type !== is.type || was.mode !== is.mode || was.target !== is.target) {
      return [{ path: [name], change: 'changed', detail: `${kindOf(was)} → ${kindOf(is)}` }];
    }
    return is.type === 'file' ? diffFiles(join(before, name), join(after, name), name) : [];
  });
}

function kindOf(entry: TarEntry | undefined): string {
  if (entry === undefined) return 'nothing';
  if (entry.type === 'symlink') return `a link to ${entry.target}`;
  return `a ${entry.type} of mode ${entry.mode.toString(8)}${entry.type === 'file' ? `, ${entry.size} bytes` : ''}`;
}

function diffFiles(before: string, after: string, name: string): readonly PathDifference[] {
  const [was, is] = [readFileSync(before), readFileSync(after)];
  if (was.equals(is)) return [];
  const text = diffText(was, is);
  if (text !== undefined) return [{ path: [name], change: 'changed', detail: text }];
  if (Math.max(was.length, is.length) > MAX_PARSED) {
    return [{ path: [name], change: 'changed', detail: `${was.length} → ${is.length} bytes` }];
  }
  const old = readRom(was, name);
  return compareTrees(old, readRom(is, name)).map((difference) => {
    const last = [difference.before?.content, difference.after?.content];
    const lines = last[0] && last[1] ? diffText(last[0], last[1]) : undefined;
    const unread = lines === undefined ? unreadContent(difference) : undefined;
    return {
      ...(unread && { unread }),
      path: difference.path.map((part) => part.name),
      old: partsOn(difference.path, old),
      change: difference.change,
      detail: lines === undefined ? difference.detail : `${difference.detail}\n${lines}`,
    };
  });
}

/** The parts of a tree on the way of another's, as far down as it has them. */
function partsOn(path: readonly Part[], root: Part): readonly Part[] {
  const parts = [root];
  for (const { name } of path.slice(1)) {
    const next = parts.at(-1)?.parts.find((part) => part.name === name);
    if (next === undefined) break;
    parts.push(next);
  }
  return parts;
}

/** Parts that are files of their own: what stands in them by no format of firmware may be anything. */
const FILES: readonly PartKind[] = ['image', 'cpio-entry', 'cbfs-file'];

function unreadContent({ before, after, change }: Difference): PathDifference['unread'] {
  if (change !== 'changed' || before === undefined || after === undefined) return undefined;
  const read = [before, after].some((part) => !FILES.includes(part.kind) || part.parts.length > 0);
  return read ? undefined : { before: before.unpacked ?? before.content, after: after.unpacked ?? after.content };
}
