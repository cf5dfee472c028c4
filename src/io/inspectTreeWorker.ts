import { parentPort, workerData } from 'node:worker_threads';
import { type ErrorCode, errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { ArtifactFacts } from '../model/realisation.ts';
import { treeFacts } from './treeFacts.ts';

/** What the worker is given. */
export interface InspectQuestion {
  readonly folder: string;
  readonly limit: number;
}

/** What the worker answers, once. `refused`: what is particular to an error of ours. */
export type InspectReply =
  | { readonly ok: true; readonly facts: ArtifactFacts }
  | {
      readonly ok: false;
      readonly refused: { readonly code: ErrorCode; readonly hints: readonly string[] } | undefined;
      readonly code: string | undefined;
      readonly message: string;
    };

let reply: InspectReply;
try {
  const { folder, limit } = workerData as InspectQuestion;
  reply = { ok: true, facts: treeFacts(folder, limit) };
} catch (error) {
  const refused = error instanceof VmbuildError ? { code: error.code, hints: error.hints } : undefined;
  reply = { ok: false, refused, code: systemErrorCode(error), message: errorMessage(error) };
}
parentPort?.postMessage(reply);
