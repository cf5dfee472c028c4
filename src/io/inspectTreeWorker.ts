import { parentPort, workerData } from 'node:worker_threads';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';
import type { ArtifactFacts } from '../model/realisation.ts';
import { treeFacts } from './treeFacts.ts';

/** What the worker answers, once. */
export type InspectReply =
  | { readonly ok: true; readonly facts: ArtifactFacts }
  | { readonly ok: false; readonly invalid: boolean; readonly code: string | undefined; readonly message: string };

let reply: InspectReply;
try {
  reply = { ok: true, facts: treeFacts(workerData as string) };
} catch (error) {
  const invalid = error instanceof VmbuildError;
  reply = { ok: false, invalid, code: systemErrorCode(error), message: errorMessage(error) };
}
parentPort?.postMessage(reply);
