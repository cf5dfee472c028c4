/**
 * A tree of 500 MB to measure with.
 *
 *   tree.ts make FOLDER      12 large files and 5000 small ones
 *   tree.ts digest FOLDER    its digest as an artifact, what it cost in CPU time, and the most memory that was in use
 *   tree.ts unpack FOLDER    its canonical tar, from memory, unpacked beside it and hashed: what that cost in CPU time
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listTree, packTree } from '../src/io/tree.ts';
import { treeFacts } from '../src/io/treeFacts.ts';
import { unpackTree } from '../src/io/unpackTree.ts';

const MB = 1_000_000;

/** Bytes that do not compress and are the same every time (xorshift32). */
function noise(length: number): Buffer {
  const words = new Uint32Array(length / 4);
  let state = 2463534242;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return Buffer.from(words.buffer);
}

function make(folder: string): void {
  const large = noise(40 * MB);
  for (let n = 0; n < 12; n += 1) {
    mkdirSync(join(folder, `large-${n}`), { recursive: true });
    writeFileSync(join(folder, `large-${n}`, 'file'), large);
  }
  for (let n = 0; n < 5000; n += 1) {
    const place = join(folder, `small-${n % 50}`);
    if (n < 50) mkdirSync(place);
    writeFileSync(join(place, `file-${n}`), large.subarray(n * 4, n * 4 + 4000));
  }
}

function digest(folder: string): void {
  const before = process.cpuUsage();
  const facts = treeFacts(folder);
  const { user, system } = process.cpuUsage(before);
  const rate = Math.round(facts.size / (user + system));
  const memory = Math.round(process.resourceUsage().maxRSS / 1024);
  process.stdout.write(`${facts.digest}: ${rate} MB per second of CPU time, at most ${memory} MiB of memory\n`);
}

function unpack(folder: string): void {
  const chunks: Buffer[] = [];
  // Each is copied before the next is asked for, which reuses its memory.
  for (const chunk of packTree(folder, listTree(folder))) chunks.push(Buffer.from(chunk));
  const size = chunks.reduce((sum, { length }) => sum + length, 0);
  const place = `${folder}.unpacked`;
  const before = process.cpuUsage();
  using unpacker = unpackTree(place, size);
  for (const chunk of chunks) unpacker.write(chunk);
  const digest = unpacker.end();
  const { user, system } = process.cpuUsage(before);
  rmSync(place, { recursive: true });
  process.stdout.write(`${digest}: unpacked at ${Math.round(size / (user + system))} MB per second of CPU time\n`);
}

const [verb, folder = ''] = process.argv.slice(2);
if (verb === 'make') make(folder);
else if (verb === 'digest') digest(folder);
else if (verb === 'unpack') unpack(folder);
else process.exitCode = 2;
