import type { LicenceClass } from './blobSlot.ts';
import type { Digest } from './digest.ts';

/**
 * `reproduced`: every round gave the same bytes. `differs`: some round gave others. `inconclusive`: no round could tell.
 */
export type Verdict = 'reproduced' | 'differs' | 'inconclusive';

/**
 * The statement "this artifact was built again in changed surroundings, with this result": an in-toto Statement v1 with
 * a Test Result predicate (https://in-toto.io/attestation/test-result/v0.1). The tests are the axes.
 */
export interface Verification {
  readonly _type: 'https://in-toto.io/Statement/v1';
  /** The artifact on record. */
  readonly subject: readonly [{ readonly name: 'artifact'; readonly digest: { readonly sha256: Digest } }];
  readonly predicateType: 'https://in-toto.io/attestation/test-result/v0.1';
  readonly predicate: {
    /** `WARNED`: reproduced, but not under all hardening axes. */
    readonly result: 'PASSED' | 'WARNED' | 'FAILED';
    /** What was tested. */
    readonly configuration: readonly [{ readonly name: 'build key'; readonly digest: { readonly sha256: Digest } }];
    /** Axes that were varied; on `FAILED` those that are known to matter are in failedTests instead. */
    readonly passedTests: readonly string[];
    readonly warnedTests: readonly string[];
    readonly failedTests: readonly string[];
    /** What the specification leaves to others. */
    readonly vmbuild: VerificationFacts;
  };
}

/** What vmbuild knows of a verification beyond the standard predicate. */
export interface VerificationFacts {
  readonly target: string;
  readonly buildKey: Digest;
  readonly verdict: Verdict;
  /** Why it is inconclusive. */
  readonly reason?: string | undefined;
  /** Digest of every round, in their order; null if the build failed. */
  readonly rounds: readonly (Digest | null)[];
  readonly executors: readonly string[];
  readonly notVaried: Readonly<Record<string, string>>;
  readonly version: string;
  /** RFC 3339. */
  readonly finishedOn: string;
  /** How far this may travel; to anybody unless it is there. */
  readonly licence?: LicenceClass | undefined;
}

/** What a verification found out. */
export interface VerificationResult extends VerificationFacts {
  /** On record. */
  readonly artifact: Digest;
  /** Names of axes that programs saw varied. */
  readonly varied: readonly string[];
  /** Those of them that are known to change the bytes. */
  readonly mattering: readonly string[];
  /** Hardening axes change the bytes, and were not asked to decide. */
  readonly warned: boolean;
}

/** Writes the statement. */
export function verification({ artifact, varied, mattering, warned, ...facts }: VerificationResult): Verification {
  const failed = facts.verdict !== 'reproduced';
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'artifact', digest: { sha256: artifact } }],
    predicateType: 'https://in-toto.io/attestation/test-result/v0.1',
    predicate: {
      result: failed ? 'FAILED' : warned ? 'WARNED' : 'PASSED',
      configuration: [{ name: 'build key', digest: { sha256: facts.buildKey } }],
      passedTests: facts.verdict === 'reproduced' ? varied.filter((name) => !mattering.includes(name)) : [],
      warnedTests: failed ? [] : mattering,
      failedTests: failed ? mattering : [],
      vmbuild: facts,
    },
  };
}

/** How many axes a verification that ended in `reproduced` has varied. */
export function countVaried({ predicate }: Verification): number {
  // What was varied and matters stands in warnedTests alone.
  return predicate.passedTests.length + predicate.warnedTests.length;
}
