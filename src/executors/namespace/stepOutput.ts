import type { StdioOptions } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { run } from '../../io/process.ts';

/** Of <asm-generic/fcntl.h>. */
const O_CLOEXEC = 0o2000000;

/** A pipe that a step writes to. */
export interface OutputPipe extends Disposable {
  readonly reader: Readable;
  /** For the step. */
  readonly writer: number;
  /** Closes this process's end for writing, so that the pipe ends when the step does. */
  readonly handedOver: () => void;
}

/**
 * Makes a named pipe at `path`. The pipes that Node makes for its children are sockets, and those cannot be opened
 * by name: `echo >/dev/stderr` would fail. One pipe for both streams also keeps their order.
 */
export async function openOutputPipe(path: string, env: Readonly<Record<string, string>>): Promise<OutputPipe> {
  const { exitCode, stderr } = await run('mkfifo', ['-m', '600', path], { env: { ...env } });
  if (exitCode !== 0) throw new Error(`mkfifo: ${stderr.trim()}`);
  const reader = new Socket({
    fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
    readable: true,
    writable: false,
  });
  const writer = openSync(path, 'w');
  let open = true;
  const handedOver = (): void => {
    if (open) closeSync(writer);
    open = false;
  };
  return {
    reader,
    writer,
    handedOver,
    [Symbol.dispose]: () => {
      handedOver();
      reader.destroy();
    },
  };
}

/**
 * Descriptors that whoever started vmbuild left open (a make's job server, a CI system's secrets). Node marks its own
 * as not to be inherited, and would hand on these.
 */
function inheritedDescriptors(): readonly number[] {
  return readdirSync('/proc/self/fdinfo')
    .map(Number)
    .filter((descriptor) => descriptor > 2 && isInheritable(descriptor));
}

function isInheritable(descriptor: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
  } catch {
    return false; // the one that the folder was read with
  }
}

/**
 * The descriptors of a step by number: nothing to read, `output` twice, and 3 as a pipe. What vmbuild itself
 * inherited is replaced by `nothing`, since it cannot be closed from here.
 */
export function stepDescriptors(output: number, nothing: number): StdioOptions {
  const descriptors: ('ignore' | 'pipe' | number)[] = ['ignore', output, output, 'pipe'];
  for (const inherited of inheritedDescriptors()) {
    if (inherited === 3) continue;
    while (descriptors.length < inherited) descriptors.push('ignore');
    descriptors[inherited] = nothing;
  }
  return descriptors;
}
