import { type SpawnOptions, spawn } from 'node:child_process';

/** What a finished process left. */
export interface ProcessResult {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end and collects its output; meant for small helpers, not for builds.
 * A non-zero exit is a result. Rejects only if the program cannot be started (`ENOENT`, …) or the signal aborts.
 */
export function run(
  program: string,
  args: readonly string[],
  options: SpawnOptions & { readonly input?: string | undefined } = {},
): Promise<ProcessResult> {
  const { input, ...spawnOptions } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...spawnOptions, stdio: ['pipe', 'pipe', 'pipe'] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', reject);
    // A child that does not read its input closes it early; its exit code tells the story.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input ?? '');
    child.on('close', (exitCode, signal) =>
      resolve({
        exitCode,
        signal,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      }),
    );
  });
}
