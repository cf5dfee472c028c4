import { acquireLock } from '../../src/io/lock.ts';

/** Takes the lock named by its argument, says so, and keeps it until it is killed or its standard input ends. */
const lock = await acquireLock(process.argv[2] ?? '', { signal: new AbortController().signal });
process.stdout.write('locked\n');
for await (const _ of process.stdin);
await lock[Symbol.asyncDispose]();
process.stdout.write('released\n');
