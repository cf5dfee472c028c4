import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { generateSigningKey } from '../../src/attest/keys.ts';
import { signStatement } from '../../src/attest/statements.ts';
import { verificationsOf } from '../../src/attest/verdicts.ts';
import { challenge } from '../../src/build/challenge.ts';
import { planSteps } from '../../src/build/plan.ts';
import type { RealisedStep } from '../../src/build/realised.ts';
import { createSubstitution } from '../../src/build/substitution.ts';
import { type Digest, sha256 } from '../../src/model/digest.ts';
import { type Envelope, parseEnvelopes } from '../../src/model/envelope.ts';
import { type Verdict, type Verification, verification } from '../../src/model/verification.ts';
import type { Store } from '../../src/store/openStore.ts';
import { readSharedVerifications, readVerifications, recordVerification } from '../../src/store/verifications.ts';
import { trusting } from '../attest/statements.ts';
import {
  buildSuite,
  cannotBuild,
  type Fixture,
  fixture,
  run,
  scriptRecipe,
  storeWithImage,
} from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { cacheAt, pushAll, substituteFrom } from './sharing.ts';

const alice = generateSigningKey();
const bob = generateSigningKey();
const trustAlice = trusting([alice]);
let project: Fixture;

beforeEach(async () => {
  project = await fixture({ 'tool/recipe.ts': scriptRecipe('echo tool > /out/tool') });
});

/** What `vmbuild verify` would have found out about a step. */
function found(buildKey: Digest, artifact: Digest, verdict: Verdict, day: number, round?: Digest): Verification {
  return verification({
    target: 'tool',
    buildKey,
    artifact,
    verdict,
    rounds: [round ?? (verdict === 'differs' ? sha256('other') : artifact)],
    executors: ['namespace'],
    notVaried: {},
    version: 'test',
    finishedOn: new Date(Date.UTC(2026, 0, day)).toISOString(),
    varied: ['aslr'],
    mattering: [],
    warned: false,
  });
}

async function realiseTool(store: Store, ...options: Parameters<typeof substituteFrom>) {
  return run(project, ['tool'], { store, substitution: substituteFrom(...options) });
}

/** A store with the tool, and a verification of it on record. */
async function verified(verdict: Verdict): Promise<{ readonly store: Store; readonly tool: RealisedStep }> {
  const store = await storeWithImage();
  const [tool] = (await realiseTool(store, [], trustAlice)).results as [RealisedStep];
  await recordVerification(store, tool.buildKey, found(tool.buildKey, tool.artifact, verdict, 1));
  return { store, tool };
}

const linesOf = (folder: string, key: Digest, signer = alice): readonly Envelope[] =>
  parseEnvelopes(readFileSync(join(folder, 'statements', key, `${signer.publicKey.id}.jsonl`), 'utf8'));

const verdictsIn = (envelopes: readonly Envelope[], key: Digest): readonly string[] =>
  verificationsOf(envelopes, key, trusting([alice, bob])).map(
    ({ statement: { predicate } }) => `${predicate.vmbuild.verdict} ${predicate.vmbuild.finishedOn.slice(0, 10)}`,
  );

describe.skipIf(cannotBuild !== undefined)(buildSuite('what a verification found other bytes for'), () => {
  it('is not pushed unless that is asked for, and then everybody hears of it', async () => {
    const { store, tool } = await verified('differs');
    const folder = await temporary();
    const cache = (): ReturnType<typeof cacheAt> => cacheAt(`file://${folder}`);
    const refused = pushAll(project, ['tool'], store, cache(), alice);
    await expect(refused).rejects.toMatchObject({ code: 'DIFFERS_ON_RECORD', step: 'tool' });
    await expect(refused).rejects.toThrow(/tool: 2026-01-01/);
    expect(readdirSync(folder)).toEqual([]);

    const pushed = await pushAll(project, ['tool'], store, cache(), alice, trustAlice, true);
    expect(pushed).toMatchObject({ signed: 1, verifications: 1 });
    expect(verdictsIn(linesOf(folder, tool.buildKey), tool.buildKey)).toEqual(['differs 2026-01-01']);

    // Whoever trusts her takes it, is warned, also later and without the cache, and does not push it on unasked either.
    const other = await storeWithImage();
    const first = await realiseTool(other, [cache()], trustAlice);
    expect(first.executed).toEqual([]);
    const warning = { type: 'step-not-reproducible', target: 'tool', by: 'signer1', at: '2026-01-01T00:00:00.000Z' };
    expect(first.events).toContainEqual(warning);
    expect((await realiseTool(other, [], trustAlice)).events).toContainEqual(warning);
    await expect(pushAll(project, ['tool'], other, cache(), bob, trustAlice)).rejects.toMatchObject({
      code: 'DIFFERS_ON_RECORD',
    });
    const again = await temporary();
    await pushAll(project, ['tool'], other, cacheAt(`file://${again}`), bob, trustAlice, true);
    expect(verdictsIn(linesOf(again, tool.buildKey), tool.buildKey)).toEqual(['differs 2026-01-01']);
    // It is not a verification of one's own.
    expect(readVerifications(other, tool.buildKey)).toEqual([]);

    // Somebody else believes nothing of it.
    const stranger = await storeWithImage();
    const built = await realiseTool(stranger, [cache()], trusting([bob]));
    expect(built.executed).toEqual(['tool']);
    expect(built.events.filter(({ type }) => type === 'step-not-reproducible')).toEqual([]);
    expect(readSharedVerifications(stranger, tool.buildKey)).toEqual([]);
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('a verification'), () => {
  it('is pushed once, and replaces an older one that says the same', async () => {
    const { store, tool } = await verified('reproduced');
    const folder = await temporary();
    const push = () => pushAll(project, ['tool'], store, cacheAt(`file://${folder}`), alice, trustAlice, true);
    const lines = () => linesOf(folder, tool.buildKey);
    await push();
    await push();
    expect(lines()).toHaveLength(2);
    await recordVerification(store, tool.buildKey, found(tool.buildKey, tool.artifact, 'differs', 2));
    await recordVerification(store, tool.buildKey, found(tool.buildKey, tool.artifact, 'inconclusive', 3));
    await recordVerification(store, tool.buildKey, found(tool.buildKey, tool.artifact, 'reproduced', 4));
    await push();
    expect(verdictsIn(lines(), tool.buildKey).toSorted()).toEqual(['differs 2026-01-02', 'reproduced 2026-01-04']);
  });

  it('is shown by a challenge, and one’s own counts as a build of what was taken from others', async () => {
    const { store, tool } = await verified('reproduced');
    const url = `file://${await temporary()}`;
    await pushAll(project, ['tool'], store, cacheAt(url), alice);
    const taken = await storeWithImage();
    await realiseTool(taken, [cacheAt(url)], trustAlice);
    const step = await project.evaluator().evaluate('tool');
    const ask = async () => {
      const { caches } = substituteFrom([cacheAt(url)], trustAlice);
      const plan = await planSteps([step], taken, createSubstitution(substituteFrom([], trustAlice), { store: taken }));
      const rest = { trustedOnly: false, warn: () => {}, dropped: () => 0 };
      return (await challenge([step], [step], plan, { store: taken, caches, trust: trustAlice, ...rest }))[0];
    };
    const before = await ask();
    expect(before).toMatchObject({ verdict: 'inconclusive', local: { built: false } });
    expect(before?.verifications).toMatchObject([
      { name: 'signer1', trusted: true, statement: { predicate: { vmbuild: { verdict: 'reproduced' } } } },
    ]);
    await recordVerification(taken, tool.buildKey, found(tool.buildKey, sha256('old'), 'reproduced', 2));
    expect(await ask()).toMatchObject({ verdict: 'inconclusive' });
    await recordVerification(taken, tool.buildKey, found(tool.buildKey, tool.artifact, 'reproduced', 3));
    expect(await ask()).toMatchObject({ verdict: 'match', local: { built: true } });
  });

  it('counts only if it is about the key, and its rounds bear out what it says', () => {
    const [key, artifact] = [sha256('key'), sha256('artifact')];
    const heard = (statement: object, about = key): number =>
      verificationsOf([signStatement(statement as Verification, alice)], about, trustAlice).length;
    expect(heard(found(key, artifact, 'reproduced', 1))).toBe(1);
    expect(heard(found(key, artifact, 'differs', 1))).toBe(1);
    expect(heard(found(key, artifact, 'differs', 1, artifact))).toBe(0);
    expect(heard(found(key, artifact, 'reproduced', 1, sha256('other')))).toBe(0);
    expect(heard(found(key, artifact, 'reproduced', 1), sha256('another'))).toBe(0);
    expect(heard({ ...found(key, artifact, 'reproduced', 1), subject: [] })).toBe(0);
    const foreign = signStatement(found(key, artifact, 'reproduced', 1), bob);
    expect(verificationsOf([foreign], key, trustAlice)).toEqual([]);
    const forged = { ...foreign, signatures: [{ keyid: alice.publicKey.id, sig: foreign.signatures[0]?.sig ?? '' }] };
    expect(verificationsOf([forged], key, trustAlice)).toEqual([]);
  });
});
