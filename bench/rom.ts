/**
 * How long it takes to look into flash images of 32 MiB, beside coreboot's cbfstool and cmp where they are installed.
 *
 *   rom.ts IMAGE [OTHER]     OTHER is the same image with another file in it, unless it is given
 *
 * Times are of the work itself, in this process, CPU and wall; of the others they are those of a process.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { compareDump } from '../src/firmware/compareDump.ts';
import { diffPaths } from '../src/firmware/diffPaths.ts';
import { maskedDigest } from '../src/firmware/masked.ts';
import { type Part, walk } from '../src/firmware/parts/part.ts';
import { readRom } from '../src/firmware/parts/readRom.ts';

const ROUNDS = 5;

function measure(name: string, work: () => void): void {
  const times: { wall: number; cpu: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    times.push({ wall: performance.now() - start, cpu: (user + system) / 1000 });
  }
  const least = (key: 'wall' | 'cpu'): string =>
    Math.min(...times.map((time) => time[key]))
      .toFixed(1)
      .padStart(9);
  process.stdout.write(`${name.padEnd(44)}${least('wall')} ms wall${least('cpu')} ms CPU\n`);
}

function beside(name: string, command: string, ...args: string[]): void {
  const start = performance.now();
  const { error } = spawnSync(command, args, { stdio: 'ignore' });
  const wall = (performance.now() - start).toFixed(1).padStart(9);
  process.stdout.write(`${name.padEnd(44)}${error === undefined ? `${wall} ms wall` : ' not installed'}\n`);
}

/** The image with one byte changed in a file of its file system. */
function changed(image: Buffer): Buffer {
  const file = [...walkFlash(readRom(image, 'image'))].findLast(({ kind }) => kind === 'cbfs-file');
  const other = Buffer.from(image);
  const at = file === undefined ? 0 : image.indexOf(file.content);
  other.writeUInt8(other.readUInt8(at) ^ 1, at);
  return other;
}

function* walkFlash(part: Part): Generator<Part> {
  yield part;
  if (part.kind !== 'cbfs-file') for (const inner of part.parts) yield* walkFlash(inner);
}

const [path, otherPath] = process.argv.slice(2);
if (path === undefined) throw new Error('which image?');
const image = readFileSync(path);
const other = otherPath === undefined ? changed(image) : readFileSync(otherPath);
const folder = mkdtempSync(join(tmpdir(), 'vmbuild-bench-'));
const beyond = join(folder, 'other.rom');
writeFileSync(beyond, other);
process.stdout.write(`${basename(path)}, ${image.length} bytes; the least of ${ROUNDS}\n`);
measure('regions, areas and files', () => void [...walkFlash(readRom(image, 'image'))]);
beside('  cbfstool print', 'cbfstool', path, 'print');
measure('everything, unpacked to the last section', () => void [...walk(readRom(image, 'image'))]);
measure('masked digest', () => void maskedDigest(image, {}));
measure('compare with itself', () => void compareDump(image, Buffer.from(image), {}));
measure('compare with the other', () => void compareDump(image, other, {}));
measure('diff, with texts down to their lines', () => void diffPaths(path, beyond));
beside('  cmp', 'cmp', path, beyond);
rmSync(folder, { recursive: true });
