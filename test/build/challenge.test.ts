import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generateSigningKey, type SigningKey } from '../../src/attest/keys.ts';
import { signStatement } from '../../src/attest/statements.ts';
import { NO_TRUST, type Trust } from '../../src/attest/trust.ts';
import { type Challenged, challenge } from '../../src/build/challenge.ts';
import { fetchContested } from '../../src/build/fetchContested.ts';
import { topologicalOrder } from '../../src/build/graph.ts';
import { planSteps } from '../../src/build/plan.ts';
import { createSubstitution } from '../../src/build/substitution.ts';
import { formatEnvelopes } from '../../src/model/envelope.ts';
import type { Store } from '../../src/store/openStore.ts';
import type { ObjectStore } from '../../src/substituters/objectStore.ts';
import { openSubstituter } from '../../src/substituters/substituter.ts';
import { createCacheServer } from '../../src/substituters/serve.ts';
import { statementOf, trusting } from '../attest/statements.ts';
import { buildSuite, cannotBuild, type Fixture, run, storeWithImage } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';
import { cacheAt, counting, pushAll, romProject, substituteFrom } from './sharing.ts';

const alice = generateSigningKey();
const bob = generateSigningKey();
const trustAlice = trusting([alice]);
/** Each build gives other bytes. */
const CHANCE = { tool: 'cat /proc/sys/kernel/random/uuid > /out/tool' };

/** Challenges the whole graph of the rom. */
async function challengeRom(
  project: Fixture,
  store: Store,
  caches: readonly ObjectStore[],
  { trust = trustAlice, trustedOnly = false }: { readonly trust?: Trust; readonly trustedOnly?: boolean } = {},
): Promise<{ readonly results: readonly Challenged[]; readonly warnings: readonly string[] }> {
  const warnings: string[] = [];
  const rom = await project.evaluator().evaluate('rom');
  const plan = await planSteps([rom], store, createSubstitution(substituteFrom([], trust), { store }));
  let dropped = 0;
  const { signal } = new AbortController();
  const results = await challenge(topologicalOrder([rom]), [rom], plan, {
    store,
    trust,
    trustedOnly,
    caches: caches.map((cache) => openSubstituter(cache, signal, (text) => ((dropped += 1), warnings.push(text)))),
    warn: (text) => warnings.push(text),
    dropped: () => dropped,
  });
  return { results, warnings };
}

/** A store in which the rom is built, pushed with `key` if there is one. */
async function built(project: Fixture, url?: string, key?: SigningKey): Promise<Store> {
  const store = await storeWithImage();
  await run(project, ['rom'], { store });
  if (url !== undefined && key !== undefined) await pushAll(project, ['rom'], store, cacheAt(url), key);
  return store;
}

const verdicts = (results: readonly Challenged[]): readonly string[] => results.map(({ verdict }) => verdict);
const reasons = (results: readonly Challenged[]): readonly (string | undefined)[] =>
  results.map(({ reason }) => reason);

describe.skipIf(cannotBuild !== undefined)(buildSuite('a challenge'), () => {
  it('matches what somebody else has built, by statements alone', async () => {
    const project = await romProject();
    const url = `file://${await temporary()}`;
    await built(project, url, alice);
    const here = await built(project);
    const cache = counting(cacheAt(url));
    const { results, warnings } = await challengeRom(project, here, [cache]);
    expect(verdicts(results)).toEqual(['match', 'match', 'match']);
    expect(warnings).toEqual([]);
    expect(results[2]?.published).toMatchObject([
      { signer: alice.publicKey.id, name: 'signer1', trusted: true, own: false, caches: [url] },
    ]);
    expect(cache.asked.filter((path) => !/^(?:statements|by-derivation)\/|^signers\.json$/.test(path))).toEqual([]);

    // The same from a stranger is shown as one's, and does not count if only the trusted do.
    const strangers = await challengeRom(project, here, [cacheAt(url)], { trust: NO_TRUST });
    expect(verdicts(strangers.results)).toEqual(['match', 'match', 'match']);
    expect(strangers.results[0]?.published[0]).toMatchObject({ trusted: false, name: undefined });
    const only = await challengeRom(project, here, [cacheAt(url)], { trust: NO_TRUST, trustedOnly: true });
    expect(new Set(reasons(only.results))).toEqual(new Set(['nobody has published it']));
  });

  it('shows both digests of a mismatch, what follows from other inputs, and where they differ', async () => {
    const project = await romProject(CHANCE);
    const url = `file://${await temporary()}`;
    await built(project, url, alice);
    const here = await built(project);
    const { results } = await challengeRom(project, here, [cacheAt(url)]);
    expect(verdicts(results)).toEqual(['mismatch', 'mismatch', 'mismatch']);
    const [tool, kernel] = results as [Challenged, Challenged];
    expect(tool.published[0]?.artifact).not.toBe(tool.local?.artifact);
    expect(tool.published[0]?.buildKey).toBe(tool.buildKey);
    // Found by its derivation: nobody has anything for the key that it has here.
    expect(kernel.published[0]?.buildKey).not.toBe(kernel.buildKey);

    const context = { store: here, signal: new AbortController().signal };
    const caches = substituteFrom([cacheAt(url)], trustAlice).caches;
    const sides = await fetchContested(tool, caches, context);
    expect(readFileSync(join(sides.here.path, 'tool'), 'utf8')).not.toBe(
      readFileSync(join(sides.published.path, 'tool'), 'utf8'),
    );
    // It is nobody's result: the next run finds its own.
    expect((await run(project, ['rom'], { store: here })).executed).toEqual([]);

    // A size that cannot be is a reason not to fetch.
    const { statement } = tool.published[0] as Challenged['published'][0];
    const subject = { ...statement.subject[0], annotations: { size: 10 ** 12 } };
    const huge = { ...tool.published[0], artifact: 'f'.repeat(64), statement: { ...statement, subject: [subject] } };
    const asked = counting(cacheAt(url));
    const refused = fetchContested(
      { ...tool, published: [huge] } as unknown as Challenged,
      substituteFrom([asked], trustAlice).caches,
      context,
    );
    await expect(refused).rejects.toMatchObject({ code: 'CACHE_UNUSABLE', step: 'tool' });
    expect(asked.asked).toEqual([]);
  });

  it('cannot tell without a build here, without a publication, or if there is none but one’s own', async () => {
    const project = await romProject();
    const url = `file://${await temporary()}`;
    const here = await built(project, url, alice);
    const empty = await challengeRom(project, await storeWithImage(), [cacheAt(url)]);
    expect(new Set(reasons(empty.results))).toEqual(new Set(['it is not realised here']));
    expect(empty.results[2]?.published).toHaveLength(1);

    const nobody = await challengeRom(project, here, [cacheAt(`file://${await temporary()}`)]);
    expect(new Set(reasons(nobody.results))).toEqual(new Set(['nobody has published it']));

    const own = { ...trustAlice, own: new Set([alice.publicKey.id]) };
    const mine = await challengeRom(project, here, [cacheAt(url)], { trust: own });
    expect(new Set(reasons(mine.results))).toEqual(new Set(['nobody but you has published it']));

    const taken = await storeWithImage();
    await run(project, ['rom'], { store: taken, substitution: substituteFrom([cacheAt(url)], trustAlice) });
    const pulled = await challengeRom(project, taken, [cacheAt(url)]);
    expect(new Set(reasons(pulled.results))).toEqual(new Set(['it was taken from others and never built here']));
  });

  it('hears of two who disagree, whatever is here', async () => {
    const project = await romProject(CHANCE);
    const url = `file://${await temporary()}`;
    await built(project, url, alice);
    await built(project, url, bob);
    const { results } = await challengeRom(project, await storeWithImage(), [cacheAt(url)]);
    expect(results[0]).toMatchObject({ verdict: 'mismatch', local: undefined });
    expect(new Set(results[0]?.published.map(({ signer }) => signer))).toEqual(
      new Set([alice.publicKey.id, bob.publicKey.id]),
    );
  });

  it('asks several caches, the dead one in vain, and a server', async () => {
    const project = await romProject();
    const root = await temporary();
    await built(project, `file://${root}`, alice);
    const here = await built(project);
    const { signal } = new AbortController();
    const server = createCacheServer({ root, writeToken: undefined, maxSize: 1, signal, onError: () => {} });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const both = await challengeRom(project, here, [cacheAt('http://127.0.0.1:1'), cacheAt(url)]);
      expect(verdicts(both.results)).toEqual(['match', 'match', 'match']);
      expect(both.warnings).toEqual([expect.stringMatching(/127\.0\.0\.1:1\/ is not asked any more/)]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
    const dead = await challengeRom(project, here, [cacheAt('http://127.0.0.1:1')]);
    expect(dead.results[0]?.reason).toMatch(/1 of the caches could not be asked/);
  });
});

describe.skipIf(cannotBuild !== undefined)(buildSuite('a challenge of a hostile cache'), () => {
  it('hears the others in spite of garbage, forgeries and what is about something else', async () => {
    const project = await romProject();
    const root = await temporary();
    await built(project, `file://${root}`, alice);
    const here = await built(project);
    const keys = (await challengeRom(project, here, [])).results.map(({ buildKey }) => buildKey as string);
    const foreign = statementOf('elsewhere', 'x').statement;
    // Signed by bob, but with alice's id on it; and something that is no sound realisation.
    const forged = signStatement({ ...foreign, subject: [] } as never, bob);
    const lacking = JSON.parse(JSON.stringify(foreign)) as {
      predicate: { buildDefinition: Record<string, unknown> & { internalParameters: { buildKey: string } } };
    };
    delete lacking.predicate.buildDefinition['externalParameters'];
    for (const key of keys) {
      lacking.predicate.buildDefinition.internalParameters.buildKey = key;
      writeFileSync(
        join(root, 'statements', key, `${bob.publicKey.id}.jsonl`),
        `garbage\n<html>\n${formatEnvelopes([
          signStatement(lacking as never, bob),
          { ...signStatement(lacking as never, bob), signatures: [{ keyid: alice.publicKey.id, sig: 'AAAA' }] },
          { ...forged, signatures: forged.signatures.map(({ sig }) => ({ keyid: alice.publicKey.id, sig })) },
        ])}`,
      );
    }
    const signers = JSON.parse(readFileSync(join(root, 'signers.json'), 'utf8')) as Record<string, string>;
    const strangers = Object.fromEntries(
      Array.from({ length: 100 }, () => generateSigningKey().publicKey).map(({ id, text }) => [id, text]),
    );
    writeFileSync(
      join(root, 'signers.json'),
      JSON.stringify({ [bob.publicKey.id]: bob.publicKey.text, ...strangers, ...signers, [alice.publicKey.id]: 'no' }),
    );
    const { results, warnings } = await challengeRom(project, here, [cacheAt(`file://${root}`)]);
    expect(verdicts(results)).toEqual(['match', 'match', 'match']);
    expect(results[0]?.published.map(({ signer }) => signer)).toEqual([alice.publicKey.id]);
    expect(results[0]?.unverified).toBe(3);
    expect(warnings).toEqual([expect.stringMatching(/lists 101 keys that are not trusted; the first 64 are asked/)]);
  });

  it('counts what nobody known has signed as nothing', async () => {
    const project = await romProject();
    const root = await temporary();
    await built(project, `file://${root}`, alice);
    const here = await built(project);
    const copy = await temporary();
    cpSync(root, copy, { recursive: true });
    // Alice's lines under bob's name, who never signed them.
    for (const folder of ['statements', 'by-derivation']) {
      for (const name of readdirSync(join(copy, folder))) {
        const lines = readFileSync(join(copy, folder, name, `${alice.publicKey.id}.jsonl`), 'utf8');
        mkdirSync(join(copy, folder, name), { recursive: true });
        writeFileSync(join(copy, folder, name, `${bob.publicKey.id}.jsonl`), lines);
      }
    }
    writeFileSync(join(copy, 'signers.json'), JSON.stringify({ [bob.publicKey.id]: bob.publicKey.text }));
    const { results } = await challengeRom(project, here, [cacheAt(`file://${copy}`)], { trust: trusting([bob]) });
    expect(new Set(reasons(results))).toEqual(new Set(['what was published, nobody whose key is known has signed']));
  });

  it('ends with an endless body, and takes a page of HTML for nothing', async () => {
    const project = await romProject();
    const here = await built(project);
    const server = createServer((request, response) => {
      response.writeHead(200);
      if (request.url?.endsWith('signers.json') === true) return void response.end('<html>welcome</html>');
      const write = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(1 << 20, 'x'))) {
          // until it is full
        }
      };
      response.on('drain', write);
      write();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const { results, warnings } = await challengeRom(project, here, [cacheAt(url)]);
      expect(new Set(verdicts(results))).toEqual(new Set(['inconclusive']));
      // The rest of the cache is still listened to: whoever writes one file must not silence the others.
      expect(warnings.length).toBeGreaterThan(1);
      expect(warnings[0]).toMatch(/is longer than 16777216 bytes/);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
