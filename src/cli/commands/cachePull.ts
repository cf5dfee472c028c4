import type { GlobalOptions } from '../settings.ts';
import { realizeCommand } from './realize.ts';

/** Options of `vmbuild cache pull`. */
interface PullOptions extends GlobalOptions {
  readonly output?: string;
  readonly json?: boolean;
}

/** `vmbuild cache pull`: realises targets from one cache, and executes nothing. */
export async function cachePull(
  url: string,
  targets: readonly string[],
  options: PullOptions,
  version: string,
): Promise<void> {
  await realizeCommand(targets, { ...options, executor: 'auto', substituter: [url], substituteOnly: true }, version);
}
