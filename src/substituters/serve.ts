import { timingSafeEqual } from 'node:crypto';
import { createWriteStream, type Stats } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { flush } from '../io/files.ts';
import { sha256, sha256Stream } from '../model/digest.ts';
import { systemErrorCode } from '../model/errors.ts';
import { openFileStore } from './fileStore.ts';
import { kindOfPath, sourcePath, STATEMENTS_LIMIT } from './layout.ts';
import { sendFile } from './sendFile.ts';

/** What a cache server is started with. */
export interface ServeOptions {
  /** The folder with the objects; a `file://` cache. */
  readonly root: string;
  /** Whoever shows it may write; nobody may without one. */
  readonly writeToken: string | undefined;
  /** The most bytes of one object. */
  readonly maxSize: number;
  readonly signal: AbortSignal;
  /** Told what could not be answered; the text is fit for a log. */
  readonly onError: (message: string) => void;
}

/** Bytes a write: with small ones the system calls cost more than the data. */
const CHUNK = 1024 * 1024;

/** Seconds that a proxy may keep statements for. */
const STATEMENT_AGE = 60;

/** A small HTTP server for a cache. It listens when the caller says so. */
export function createCacheServer(options: ServeOptions): Server {
  const server = createServer((request, response) => {
    answer(request, response, options).catch((error: unknown) => {
      // Whoever hung up needs no answer.
      if (response.destroyed || request.destroyed) return;
      options.onError(`${request.method} ${request.url}: ${String(error)}`);
      const full = ['ENOSPC', 'EDQUOT'].includes(systemErrorCode(error) ?? '');
      if (response.headersSent) response.destroy();
      else finish(response, full ? 507 : 500);
    });
  });
  // An upload may take long; a header may not.
  server.requestTimeout = 0;
  server.headersTimeout = 30_000;
  server.timeout = 60_000;
  return server;
}

async function answer(request: IncomingMessage, response: ServerResponse, options: ServeOptions): Promise<void> {
  const path = pathOf(request.url ?? '');
  if (path === '') return finish(response, 200, 'a cache of vmbuild\n');
  // Only what a cache has: nothing else in the folder can be read or written, whatever dots are in the address.
  if (path === undefined || kindOfPath(path) === undefined) return finish(response, 404);
  if (request.method === 'GET' || request.method === 'HEAD') return read(path, request, response, options);
  if (request.method === 'PUT') return write(path, request, response, options);
  response.setHeader('allow', 'GET, HEAD, PUT');
  finish(response, 405);
}

function pathOf(url: string): string | undefined {
  return /^\/([A-Za-z0-9./-]*)$/.exec(url)?.[1];
}

async function read(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  { root }: ServeOptions,
): Promise<void> {
  const file = join(root, path);
  const facts = await stat(file).catch(() => undefined);
  if (facts?.isFile() !== true) return finish(response, 404);
  const immutable = kindOfPath(path) === 'immutable';
  const etag = immutable ? `"${path.replace(/^.*\//, '')}"` : await contentTag(root, path);
  response.setHeader('etag', etag);
  response.setHeader('last-modified', facts.mtime.toUTCString());
  response.setHeader('accept-ranges', 'bytes');
  response.setHeader('content-type', 'application/octet-stream');
  response.setHeader(
    'cache-control',
    immutable ? 'public, max-age=31536000, immutable' : `public, max-age=${STATEMENT_AGE}`,
  );
  if (request.headers['if-none-match'] === etag) return finish(response, 304);
  const range = rangeOf(request, facts, etag);
  if (range === 'unsatisfiable') {
    response.setHeader('content-range', `bytes */${facts.size}`);
    return finish(response, 416);
  }
  const { start, end } = range ?? { start: 0, end: facts.size - 1 };
  if (range !== undefined) response.setHeader('content-range', `bytes ${start}-${end}/${facts.size}`);
  response.setHeader('content-length', end - start + 1);
  response.writeHead(range === undefined ? 200 : 206);
  if (request.method === 'HEAD' || end < start) return void response.end();
  await sendFile(file, start, end, response);
}

/** What changes is small, and its tag is its content's: two writers must not both find their own. */
async function contentTag(root: string, path: string): Promise<string> {
  const object = await openFileStore(root, new AbortController().signal).read(path, STATEMENTS_LIMIT);
  return `"${object?.version ?? ''}"`;
}

/** One range (RFC 9110 §14); undefined for the whole, which is also the answer to what is not understood. */
function rangeOf(
  request: IncomingMessage,
  { size, mtime }: Stats,
  etag: string,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined {
  const condition = request.headers['if-range'];
  if (condition !== undefined && condition !== etag && condition !== mtime.toUTCString()) return undefined;
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (start >= size || (first === '' && Number(last) === 0)) return 'unsatisfiable';
  return end < start ? undefined : { start, end };
}

async function write(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  options: ServeOptions,
): Promise<void> {
  const { writeToken, maxSize } = options;
  if (writeToken === undefined) return refuse(request, response, 403, 'this cache is read-only\n');
  if (!isAuthorised(request, writeToken)) {
    response.setHeader('www-authenticate', 'Bearer');
    return refuse(request, response, 401);
  }
  const size = Number(request.headers['content-length'] ?? Number.NaN);
  if (!Number.isSafeInteger(size)) return refuse(request, response, 411);
  if (size > maxSize) return refuse(request, response, 413);
  if (kindOfPath(path) === 'immutable') return writeImmutable(path, size, request, response, options);
  if (size > STATEMENTS_LIMIT) return refuse(request, response, 413);
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  const condition = request.headers['if-match'];
  const store = openFileStore(options.root, options.signal);
  const expected = condition?.replaceAll('"', '');
  const bytes = Buffer.concat(chunks);
  const unconditional = condition === undefined && request.headers['if-none-match'] === undefined;
  const written = unconditional
    ? (await store.put(path, { size, sha256: sha256(bytes), open: () => [bytes] }), true)
    : await store.replace(path, bytes, expected);
  // Tells that conditions are kept here.
  if (written) response.setHeader('etag', `"${sha256(bytes)}"`);
  finish(response, written ? 204 : 412);
}

/** Taken whole or not at all; a file under its own digest must be what its name says. */
async function writeImmutable(
  path: string,
  size: number,
  request: IncomingMessage,
  response: ServerResponse,
  { root }: ServeOptions,
): Promise<void> {
  const place = join(root, path);
  await mkdir(dirname(place), { recursive: true });
  const temporary = `${place}.${process.pid}.${Math.random().toString(36).slice(2)}.tmp`;
  try {
    // An artifact is named after its tar, which only whoever unpacks it sees.
    const hash = path.startsWith('sources/') ? sha256Stream() : undefined;
    const file = createWriteStream(temporary, { flags: 'wx', highWaterMark: CHUNK });
    if (hash !== undefined) request.on('data', (chunk: Buffer) => hash.update(chunk));
    await pipeline(request, file);
    if (file.bytesWritten !== size) return finish(response, 400, 'the body is not as long as announced\n');
    const digest = hash?.digest();
    if (digest !== undefined && sourcePath(digest) !== path) {
      return finish(response, 400, `the sha256 of the body is ${digest}\n`);
    }
    await flush(temporary);
    await rename(temporary, place);
    await flush(dirname(place));
    finish(response, 201);
  } finally {
    await rm(temporary, { force: true });
  }
}

function isAuthorised(request: IncomingMessage, token: string): boolean {
  const given = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  // Of digests, so that neither content nor length shows in the time that it takes.
  return timingSafeEqual(Buffer.from(sha256(given)), Buffer.from(sha256(token)));
}

/** Answers before the body has come, and hangs up: nobody wants it. */
function refuse(request: IncomingMessage, response: ServerResponse, status: number, text = ''): void {
  response.setHeader('connection', 'close');
  finish(response, status, text);
  request.resume();
}

function finish(response: ServerResponse, status: number, text = ''): void {
  response.writeHead(status, text === '' ? {} : { 'content-type': 'text/plain' });
  response.end(text);
}
