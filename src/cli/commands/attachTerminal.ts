import type { Socket } from 'node:net';

/** Ctrl-], as in telnet. Ctrl-A belongs to gokvm, whose Ctrl-A x ends the inner machine. */
const ESCAPE = 0x1d;

/** Connects the terminal to a machine's console, until the machine is off or somebody types Ctrl-]. */
export async function attachTerminal(console: Socket, signal: AbortSignal): Promise<void> {
  const { stdin, stdout, stderr } = process;
  stderr.write('The machine starts. Ctrl-] switches it off.\n');
  stdin.setRawMode(true);
  try {
    await new Promise<void>((end, fail) => {
      console
        .on('data', (chunk) => stdout.write(chunk))
        .on('close', () => end())
        .on('error', fail);
      stdin.on('data', (typed: Buffer) => {
        const escape = typed.indexOf(ESCAPE);
        console.write(escape < 0 ? typed : typed.subarray(0, escape));
        if (escape >= 0) end();
      });
      signal.addEventListener('abort', () => fail(signal.reason as Error));
    });
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stdin.removeAllListeners('data');
    console.destroy();
  }
  stderr.write('\nThe machine is off.\n');
}
