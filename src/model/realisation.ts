import { LICENCE_CLASSES, type LicenceClass } from './blobSlot.ts';
import type { BuildKeyDocument } from './buildKey.ts';
import type { Digest } from './digest.ts';

/**
 * The statement "this build key gave this artifact": an in-toto Statement v1 with a SLSA Provenance v1
 * predicate (https://in-toto.io/Statement/v1, https://slsa.dev/provenance/v1). In the store it is unsigned.
 */
export interface Realisation {
  readonly _type: 'https://in-toto.io/Statement/v1';
  /** The artifact first (name `artifact`), then every top-level file, sorted, by its plain SHA-256. */
  readonly subject: readonly Subject[];
  readonly predicateType: 'https://slsa.dev/provenance/v1';
  readonly predicate: {
    readonly buildDefinition: {
      readonly buildType: 'urn:vmbuild:build:1';
      readonly externalParameters: { readonly target: string; readonly derivation: Digest };
      readonly internalParameters: {
        readonly buildKey: Digest;
        readonly document: BuildKeyDocument;
        /** How far this, the artifact and the log may travel; to anybody unless it is there. */
        readonly licence?: LicenceClass;
      };
      /** The image, the recipe files and every input, by digest. */
      readonly resolvedDependencies: readonly { readonly name: string; readonly digest: { readonly sha256: Digest } }[];
    };
    readonly runDetails: {
      readonly builder: { readonly id: string; readonly version: Readonly<Record<string, string>> };
      readonly metadata: {
        readonly invocationId: string;
        /** RFC 3339. */
        readonly startedOn: string;
        readonly finishedOn: string;
      };
    };
  };
}

/** Something that was made, by digest; `size` is uncompressed bytes (for the artifact: of its canonical tar). */
export interface Subject {
  readonly name: string;
  readonly digest: { readonly sha256: Digest };
  readonly annotations: { readonly size: number };
}

/** What is known of a finished artifact. */
export interface ArtifactFacts {
  readonly digest: Digest;
  /** Bytes of the canonical tar. */
  readonly size: number;
  /** Top-level files by name, sorted. */
  readonly files: readonly { readonly name: string; readonly digest: Digest; readonly size: number }[];
}

/** What is known of the run that made it. */
export interface RunFacts {
  readonly target: string;
  readonly derivation: Digest;
  readonly buildKey: Digest;
  readonly document: BuildKeyDocument;
  /** The strictest class of all that it was made from. */
  readonly licence: LicenceClass;
  readonly executor: string;
  readonly vmbuildVersion: string;
  readonly invocationId: string;
  readonly startedOn: Date;
  readonly finishedOn: Date;
}

/** Writes the statement for a run. */
export function realisation(artifact: ArtifactFacts, run: RunFacts): Realisation {
  const { document } = run;
  const dependency = (name: string, digest: Digest) => ({ name, digest: { sha256: digest } });
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'artifact', digest: artifact.digest, size: artifact.size }, ...artifact.files].map(
      ({ name, digest, size }) => ({ name, digest: { sha256: digest }, annotations: { size } }),
    ),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:vmbuild:build:1',
        externalParameters: { target: run.target, derivation: run.derivation },
        internalParameters: { buildKey: run.buildKey, document, ...licenceField(run.licence) },
        resolvedDependencies: [
          dependency('image', document.image),
          dependency('recipe', document.recipe),
          ...Object.entries(document.inputs).map(([name, { digest }]) => dependency(`in/${name}`, digest)),
        ],
      },
      runDetails: {
        builder: {
          id: `urn:vmbuild:builder:local:${run.executor}`,
          version: { vmbuild: run.vmbuildVersion },
        },
        metadata: {
          invocationId: run.invocationId,
          startedOn: run.startedOn.toISOString(),
          finishedOn: run.finishedOn.toISOString(),
        },
      },
    },
  };
}

/** What was made without vendor blobs says nothing, as it did before there were any. */
function licenceField(licence: LicenceClass): { readonly licence?: LicenceClass } {
  return licence === 'may-be-shared' ? {} : { licence };
}

/**
 * How far what a statement is about may travel: the statement itself, the artifact, the log, and every export. A class
 * that this vmbuild does not know is taken for the strictest.
 */
export function licenceOf(statement: Realisation): LicenceClass {
  const { licence } = statement.predicate.buildDefinition.internalParameters;
  if (licence === undefined) return 'may-be-shared';
  return LICENCE_CLASSES.includes(licence) ? licence : 'stays-local';
}

/** The same statement with another class. */
export function withLicence(statement: Realisation, licence: LicenceClass): Realisation {
  const { predicate } = statement;
  const { licence: _before, ...internalParameters } = predicate.buildDefinition.internalParameters;
  return {
    ...statement,
    predicate: {
      ...predicate,
      buildDefinition: {
        ...predicate.buildDefinition,
        internalParameters: { ...internalParameters, ...licenceField(licence) },
      },
    },
  };
}

/** The artifact's digest of a statement. */
export function artifactOf(statement: Realisation): Digest {
  return (statement.subject[0] as Subject).digest.sha256;
}

/** The top-level files of a statement. */
export function filesOf(statement: Realisation): readonly Subject[] {
  return statement.subject.slice(1);
}

/** How long the build took, milliseconds. */
export function durationOf(statement: Realisation): number {
  const { startedOn, finishedOn } = statement.predicate.runDetails.metadata;
  return Date.parse(finishedOn) - Date.parse(startedOn);
}
