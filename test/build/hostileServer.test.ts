import { describe, expect, it } from 'vitest';
import { loopback } from '../io/loopback.ts';
import { ZSTD_BEGINNING, ZSTD_EMPTY_BLOCK } from '../support/hostileArchives.ts';
import { archive, ask, expectNothing, honestCache, type Misdeed, serve, TOKEN } from './hostile.ts';

/** What only a server can do, to the archive of the ROM. */
const MISDEEDS: readonly { name: string; misdeed: Misdeed; complaint: RegExp; http?: object }[] = [
  {
    name: 'drips, a byte at a time, without end',
    misdeed: async (response) => {
      response.writeHead(200).write(ZSTD_BEGINNING);
      while (!response.destroyed) {
        response.write(Buffer.alloc(1));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    complaint: /less than \d+ bytes a second/,
  },
  {
    name: 'sends what unpacks to nothing, without end',
    misdeed: async (response) => {
      response.writeHead(200).write(ZSTD_BEGINNING);
      const blocks = Buffer.concat(Array.from({ length: 20_000 }, () => ZSTD_EMPTY_BLOCK));
      while (!response.destroyed) {
        if (!response.write(blocks)) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
    complaint: /more than the \d+ bytes that it may hold/,
  },
  {
    name: 'stalls',
    misdeed: (response) => void response.writeHead(200).write(ZSTD_BEGINNING),
    complaint: /nothing received for/,
    http: { idleTimeout: 20_000 },
  },
  {
    name: 'hangs up in the middle',
    misdeed: (response) => {
      response.writeHead(200, { 'content-length': 100_000 });
      response.write(Buffer.alloc(100), () => response.destroy());
    },
    complaint: /broke the connection|ECONNRESET|terminated|no zstd/,
  },
  {
    name: 'redirects in a circle',
    misdeed: (response, { requests }) => response.writeHead(302, { location: requests.at(-1)?.url }).end(),
    complaint: /more than 10 redirects/,
  },
  {
    name: 'redirects to a file of this machine',
    misdeed: (response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    complaint: /not an http or https address/,
  },
  {
    name: 'answers with a page and 200',
    misdeed: (response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Log in</title>'),
    complaint: /no zstd/,
  },
  {
    name: 'answers with nothing and 200',
    misdeed: (response) => response.writeHead(200).end(),
    complaint: /ends in the middle|no zstd/,
  },
  {
    name: 'answers with an error',
    misdeed: (response) => response.writeHead(500).end('<title>Internal Server Error</title>'),
    complaint: /HTTP 500/,
  },
];

describe('a hostile server', () => {
  it.each(MISDEEDS)('that $name gives nothing', async ({ misdeed, complaint, http }) => {
    const cache = await honestCache();
    await using server = await serve(cache.folder, archive(cache.rom), misdeed);
    const outcome = await ask(server.url, cache, http);
    expect(outcome.warnings).toEqual([expect.stringMatching(complaint)]);
    await expectNothing(outcome);
  });

  it('that redirects to another does not get the credentials there, and what comes is checked', async () => {
    const cache = await honestCache();
    await using thief = await loopback((_request, response) => response.end('what somebody else has'));
    await using server = await serve(cache.folder, archive(cache.rom), (response) =>
      response.writeHead(307, { location: `${thief.url}/x` }).end(),
    );
    const outcome = await ask(server.url, cache);
    expect(server.requests.every(({ headers }) => headers.authorization === `Bearer ${TOKEN}`)).toBe(true);
    expect(thief.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    expect(outcome.warnings.join()).not.toContain(TOKEN);
    await expectNothing(outcome);
  });

  it('that sends the page of a portal for everything is believed in nothing', async () => {
    const cache = await honestCache();
    await using server = await loopback((_request, response) => response.end('<!doctype html>\n<p>Pay first.</p>\n'));
    const outcome = await ask(server.url, cache);
    expect(outcome).toMatchObject({ believed: false, warnings: [expect.stringMatching(/no signed statement/)] });
    await expectNothing(outcome);
  });
});
