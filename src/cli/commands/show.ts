import { type PlannedStep, refusal } from '../../build/plan.ts';
import { type BlobSlots, type LicenceClass, LICENCE_MEANINGS, strictest } from '../../model/blobSlot.ts';
import { printableName } from '../../model/printable.ts';
import { artifactOf, filesOf, licenceOf } from '../../model/realisation.ts';
import { countVaried, type Verification } from '../../model/verification.ts';
import { readVerifications } from '../../store/verifications.ts';
import { openContext } from '../context.ts';
import { formatBytes, formatCount, formatTable } from '../format.ts';
import { maskedRom, maskedText } from '../maskedRom.ts';
import type { GlobalOptions } from '../settings.ts';

/** `vmbuild show`: what a target is, what it is made of, and what the store knows of it. */
export async function showCommand(target: string, options: GlobalOptions & { readonly json?: boolean }): Promise<void> {
  const context = await openContext(options, 'read');
  const { project, evaluator, store } = context;
  const step = await evaluator.evaluate(target);
  const plan = await context.plan([step]);
  const planned = plan.find((candidate) => candidate.step === step) as PlannedStep;
  const { statement } = planned;
  const verifications = planned.buildKey === undefined ? [] : readVerifications(store, planned.buildKey);
  const masked = statement && (await maskedRom(step, statement, store.layout.tree(artifactOf(statement)), project));
  if (options.json === true) {
    process.stdout.write(
      `${JSON.stringify({ ...asJson(planned, plan), verifications, masked: masked?.masked }, null, 2)}\n`,
    );
    return;
  }
  const { derivation, image, inputs, sources } = step;
  const licence = licenceNow(planned);
  const inputDigest = (hash: string): string => {
    const input = plan.find((candidate) => candidate.step.hash === hash)?.statement;
    return input === undefined ? 'not built yet' : artifactOf(input);
  };
  const rows: string[][] = [
    ['target', target],
    ['what', step.description],
    ['recipe', step.recipeFile],
    ['derivation', step.hash],
    ['build key', planned.buildKey ?? `not known yet (${planned.reason})`],
    ['artifact', statement === undefined ? `none: ${planned.reason}` : artifactOf(statement)],
    ['licence', `${licence}: ${LICENCE_MEANINGS[licence]}`],
    ['image', `${image.name} ${image.digest}`],
    ['command', derivation.command.join(' ')],
    ...Object.entries(derivation.env).map(([name, value]) => ['env', `${name}=${oneLine(value)}`]),
    ...Object.entries(inputs).map(([mount, input]) => [`/in/${mount}`, `${input.target} ${inputDigest(input.hash)}`]),
    ...Object.entries(sources).map(([mount, source]) => [`/in/${mount}`, `${source.name} ${source.digest}`]),
    ...throughInputs(planned, plan).map(({ step: deeper }) => [
      'closure',
      `${deeper.target} ${inputDigest(deeper.hash)}`,
    ]),
  ];
  process.stdout.write(formatTable(rows));
  const refused = refusal(plan);
  if (refused !== undefined) process.stdout.write(`refused: ${refused.message}\n`);
  process.stdout.write(lackedBlobs(step.lacks));
  if (statement === undefined) return;
  const { builder, metadata } = statement.predicate.runDetails;
  process.stdout.write(
    formatTable([
      ['built', `${metadata.startedOn} to ${metadata.finishedOn} by ${builder.id}`],
      ...verifications.map((verification) => ['verified', describeVerification(verification)]),
    ]),
  );
  for (const file of filesOf(statement)) {
    const path = `${store.layout.tree(artifactOf(statement))}/${printableName(file.name)}`;
    process.stdout.write(`  ${path}\n    ${formatBytes(file.annotations.size)}, sha256 ${file.digest.sha256}\n`);
  }
  process.stdout.write(maskedText(masked));
}

function describeVerification(statement: Verification): string {
  const { verdict, reason, rounds, executors, notVaried, finishedOn } = statement.predicate.vmbuild;
  const how = [
    `${finishedOn} in ${executors.join(' and ')}`,
    formatCount(rounds.length, 'round'),
    // Of what differs it is not known of each axis whether it matters.
    ...(verdict === 'reproduced'
      ? [`${countVaried(statement)} axes varied, ${Object.keys(notVaried).length} not or not for all`]
      : []),
    ...(reason === undefined ? [] : [reason]),
  ];
  return `${verdict}: ${how.join(', ')}`;
}

/** What the recipes say, and what is on record for the same bytes. */
function licenceNow({ step, statement }: PlannedStep): LicenceClass {
  return strictest([step.licence, ...(statement === undefined ? [] : [licenceOf(statement)])]);
}

/** What the inputs of a step were made with in their turn. */
function throughInputs({ step }: PlannedStep, plan: readonly PlannedStep[]): readonly PlannedStep[] {
  const shown = new Set([step, ...Object.values(step.inputs)]);
  return plan.filter((candidate) => !shown.has(candidate.step));
}

/** Text of several lines would break the table. */
function oneLine(text: string): string {
  const lines = text.split('\n');
  return lines.length === 1 ? text : `… (${lines.length} lines)`;
}

/** What a person has to supply before the artifact can be used, slot by slot. */
function lackedBlobs(slots: BlobSlots): string {
  if (Object.keys(slots).length === 0) return '';
  const entries = Object.entries(slots).map(([name, slot]) => {
    const optional = slot.optional === true ? ', optional' : '';
    const known = slot.sha256 === undefined ? [] : [`sha256 ${slot.sha256}`];
    return [`  ${name} (${slot.licence}${optional}): ${slot.what}`, ...slot.from, ...known].join('\n    ');
  });
  return `lacks these vendor blobs, and is NOT TO BE FLASHED as it is:\n${entries.join('\n')}\n`;
}

function asJson(planned: PlannedStep, plan: readonly PlannedStep[]): object {
  const { step, buildKey, decision, reason, statement } = planned;
  return {
    target: step.target,
    description: step.description,
    recipe: step.recipeFile,
    derivationHash: step.hash,
    derivation: step.derivation,
    image: { name: step.image.name, digest: step.image.digest },
    inputs: Object.fromEntries(Object.entries(step.inputs).map(([mount, input]) => [mount, input.target])),
    sources: step.sources,
    closure: plan
      .filter((candidate) => candidate !== planned)
      .map((candidate) => ({
        target: candidate.step.target,
        derivationHash: candidate.step.hash,
        buildKey: candidate.buildKey,
        artifact: candidate.statement && artifactOf(candidate.statement),
      })),
    lacks: step.lacks,
    takes: step.takes,
    missingBlobs: step.missingBlobs.map(({ slot }) => slot),
    licence: licenceNow(planned),
    refused: refusal(plan)?.message,
    buildKey,
    decision,
    reason,
    artifact: statement && artifactOf(statement),
    realisation: statement,
  };
}
