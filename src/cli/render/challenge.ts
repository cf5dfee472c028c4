import type { Challenged, Published, PublishedVerification, Speaker } from '../../build/challenge.ts';
import { shortDigest } from '../../model/digest.ts';
import { printable } from '../../model/printable.ts';
import type { Realisation } from '../../model/realisation.ts';
import { countVaried } from '../../model/verification.ts';
import { verifiedArtifact } from '../../model/verificationSchema.ts';
import { formatCount } from '../format.ts';

/** What came of the challenge of one step, for people. */
export function challengeText(result: Challenged): string {
  const { step, verdict, reason, local, published, verifications, unverified } = result;
  const others = new Set(published.filter(({ own }) => !own).map(({ signer }) => signer)).size;
  const said = verdict === 'match' ? `${formatCount(others, 'other')} ${others === 1 ? 'has' : 'have'} the same` : '';
  const first = [step.target, verdict, local === undefined ? '-' : shortDigest(local.artifact), reason ?? said];
  const differing = verdict === 'mismatch';
  const here = local && `here: ${differing ? local.artifact : shortDigest(local.artifact)}  ${origin(local)}`;
  const lines = [
    ...(here === undefined || !differing ? [] : [here]),
    ...published.map((each) => publishedText(each, result)),
    ...verifications.map((each) => verificationText(each, local?.artifact)),
    ...(unverified === 0 ? [] : [`${formatCount(unverified, 'statement')} that nobody whose key is known has signed`]),
    ...(verdict === 'match' && published.every(({ own, trusted }) => own || !trusted)
      ? ['nobody of them is trusted: anybody can sign a digest that they have seen']
      : []),
  ];
  return `${first.filter((text) => text !== '').join('  ')}\n${lines.map((line) => `  ${oneLine(line)}\n`).join('')}`;
}

function publishedText(each: Published, { buildKey, verdict }: Challenged): string {
  const artifact = verdict === 'mismatch' ? each.artifact : shortDigest(each.artifact);
  const inputs = buildKey === undefined || each.buildKey === buildKey ? '' : ', made from other inputs';
  return `published: ${artifact}  ${speakerText(each)}, ${builderText(each.statement)}${inputs}; ${each.caches.join(', ')}`;
}

function verificationText({ statement, ...speaker }: PublishedVerification, local: string | undefined): string {
  const { verdict, rounds, executors, version, finishedOn } = statement.predicate.vmbuild;
  const of = verifiedArtifact(statement) === local ? '' : ` of ${shortDigest(verifiedArtifact(statement))}`;
  const axes =
    verdict === 'reproduced'
      ? `${countVaried(statement)} axes varied`
      : `what matters: ${statement.predicate.failedTests.join(', ') || 'not found out'}`;
  return (
    `verified${of}: ${verdict}, ${formatCount(rounds.length, 'round')}, ${axes}  ${speakerText(speaker)}, ` +
    `${executors.join('+')}, vmbuild ${version}, ${finishedOn}`
  );
}

function speakerText({ signer, name, trusted, own }: Speaker): string {
  const who = `${name ?? 'unnamed key'} (${signer.slice(0, 12)})`;
  return `${who}, ${own ? 'your own key' : trusted ? 'trusted' : 'not trusted'}`;
}

function builderText(statement: Realisation): string {
  const { executor, version, startedOn } = builderOf(statement);
  return `${executor}, vmbuild ${version ?? 'unknown'}, ${startedOn}`;
}

function origin({ built, statement }: NonNullable<Challenged['local']>): string {
  return built ? `built here, ${builderText(statement)}` : 'taken from others';
}

/** How something was built, as whoever signed it says. */
function builderOf({ predicate }: Realisation): {
  readonly executor: string;
  readonly version: string | undefined;
  readonly startedOn: string;
} {
  const { builder, metadata } = predicate.runDetails;
  const version: unknown = (builder as { readonly version?: { readonly vmbuild?: unknown } | null }).version?.vmbuild;
  return {
    executor: builder.id.replace(/^urn:vmbuild:builder:local:/, ''),
    version: typeof version === 'string' ? version : undefined,
    startedOn: metadata.startedOn,
  };
}

/** What others have written must neither move the cursor nor look like a line of ours. */
function oneLine(text: string): string {
  return printable(text).replace(/\s*\n\s*/g, ' ');
}

/** The same for programs. */
export function challengeJson({ step, buildKey, verdict, reason, local, published, ...rest }: Challenged): object {
  return {
    type: 'challenged',
    target: step.target,
    derivation: step.hash,
    buildKey,
    verdict,
    reason,
    local: local && { artifact: local.artifact, built: local.built, ...builderOf(local.statement) },
    published: published.map(({ statement, ...each }) => ({ ...each, ...builderOf(statement) })),
    verifications: rest.verifications.map(({ statement, ...each }) => ({
      ...each,
      artifact: verifiedArtifact(statement),
      result: statement.predicate.result,
      ...statement.predicate.vmbuild,
    })),
    unverified: rest.unverified,
  };
}
