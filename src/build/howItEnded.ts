import type { StepResult } from '../executors/executor.ts';

/** How a command that failed has ended, in words that follow the name of its step. */
export function howItEnded({ exitCode, signal }: StepResult): string {
  return exitCode === null ? `was killed by ${signal}` : `failed with exit code ${exitCode}`;
}
