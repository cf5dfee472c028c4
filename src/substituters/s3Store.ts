import type { HttpOptions } from '../io/httpExchange.ts';
import { type Digest, sha256 } from '../model/digest.ts';
import { errorMessage } from '../model/errors.ts';
import type { S3Address } from './address.ts';
import { openHttpStore } from './httpStore.ts';
import type { ListingStore, ObjectBody } from './objectStore.ts';
import { type AwsIdentity, openS3Client, type S3Client, unusable } from './s3Client.ts';
import { decodeXml, listObjects } from './s3Listing.ts';

/**
 * Bytes of a part, which is held in memory; larger objects go up in parts, so that a broken line costs one part and not
 * the whole. S3 takes parts of 5 MiB to 5 GiB, at most 10 000 of them: 320 GB.
 */
const PART_SIZE = 32 * 1024 * 1024;

/** A bucket: what any web server is, with signed requests, and with uploads in parts. */
export function openS3Store(address: S3Address, identity: AwsIdentity, http: HttpOptions): ListingStore {
  const client = openS3Client(address, identity, http);
  const { base, where, sign, explain } = client;
  const store = openHttpStore({ base, where, authorise: sign, explain, conditional: true, http });
  return {
    ...store,
    put: (path, body) => (body.size <= PART_SIZE ? store.put(path, body) : putParts(client, path, body)),
    list: () => listObjects(client),
    // No condition of S3 is about the time: what is written again in the moment between these two is lost (docs/caches.md).
    collect: async (path, before) => {
      const writtenAt = (await store.stat(path))?.writtenAt;
      if (writtenAt === undefined || writtenAt >= before) return false;
      await client.ask('DELETE', `${base}/${path}`, undefined);
      return true;
    },
  };
}

/** An upload in parts (S3's CreateMultipartUpload); the object appears with the last request, whole. */
async function putParts(client: S3Client, path: string, body: ObjectBody): Promise<void> {
  const url = `${client.base}/${path}`;
  const { text } = await client.ask('POST', `${url}?uploads=`, undefined);
  const id = /<UploadId>([^<]+)<\/UploadId>/.exec(text)?.[1];
  if (id === undefined) throw unusable(client.where, 'it began no upload in parts');
  const upload = `${url}?uploadId=${encodeURIComponent(decodeXml(id))}`;
  try {
    const tags: string[] = [];
    let sent = 0;
    for await (const part of partsOf(body)) {
      const { etag } = await client.ask('PUT', `${upload}&partNumber=${tags.length + 1}`, bodyOf(part));
      if (etag === undefined || !/^"[0-9A-Za-z-]+"$/.test(etag))
        throw unusable(client.where, 'it gave no tag for a part');
      tags.push(etag);
      sent += part.length;
    }
    if (sent !== body.size) throw new Error(`${sent} bytes came instead of ${body.size}`);
    const list = tags.map((tag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${tag}</ETag></Part>`);
    const document = `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`;
    const answer = await client.ask('POST', upload, bodyOf(Buffer.from(document)));
    // It answers 200 before it has done it, and then says in the text whether it could.
    if (!/<CompleteMultipartUploadResult[\s>]/.test(answer.text)) {
      throw unusable(client.where, `the upload of ${path} was not completed`);
    }
  } catch (error) {
    // What is left of it costs money until a rule of the bucket removes it.
    await client.ask('DELETE', upload, undefined).catch((second: unknown) => {
      if (error instanceof Error) error.message += ` (and its parts could not be removed: ${errorMessage(second)})`;
    });
    throw error;
  }
}

function bodyOf(bytes: Uint8Array): { size: number; sha256: Digest; open: () => Uint8Array[] } {
  return { size: bytes.length, sha256: sha256(bytes), open: () => [bytes] };
}

/** The content in parts of one size but for the last. Each is only valid until the next is asked for. */
async function* partsOf(body: ObjectBody): AsyncGenerator<Uint8Array> {
  const part = Buffer.allocUnsafe(Math.min(PART_SIZE, body.size));
  let used = 0;
  for await (const chunk of body.open()) {
    for (let offset = 0; offset < chunk.length;) {
      const taken = chunk.subarray(offset, offset + part.length - used);
      part.set(taken, used);
      used += taken.length;
      offset += taken.length;
      if (used < part.length) continue;
      yield part;
      used = 0;
    }
  }
  if (used > 0) yield part.subarray(0, used);
}
