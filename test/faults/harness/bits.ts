import { closeSync, lstatSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from './seed.ts';

/** Files below a folder that hold something, as paths in it, sorted. */
function filesBelow(folder: string, below = ''): readonly string[] {
  return readdirSync(join(folder, below))
    .sort()
    .flatMap((name) => {
      const path = join(below, name);
      const stat = lstatSync(join(folder, path));
      if (stat.isDirectory()) return filesBelow(folder, path);
      return stat.isFile() && stat.size > 0 ? [path] : [];
    });
}

/** Turns one bit over in a file of a folder, as a disk might; returns the path in the folder. */
export function turnBit(folder: string, random: Random): string {
  const path = random.pick(filesBelow(folder));
  const file = openSync(join(folder, path), 'r+');
  try {
    const place = random.between(0, lstatSync(join(folder, path)).size - 1);
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, place);
    byte[0] = (byte[0] ?? 0) ^ (1 << random.between(0, 7));
    writeSync(file, byte, 0, 1, place);
  } finally {
    closeSync(file);
  }
  return path;
}
