import type { ListedObject } from './objectStore.ts';
import { type S3Client, unusable } from './s3Client.ts';

/** Bytes of a page of a listing, which holds 1000 objects: keys are shorter than 1 KiB, and what is said of each than another. */
const PAGE_LIMIT = 4 * 1024 * 1024;

/** Everything below the prefix of a cache in its bucket (S3's ListObjectsV2). */
export async function* listObjects(client: S3Client): AsyncGenerator<ListedObject> {
  const prefix = client.prefix === '' ? '' : `${client.prefix}/`;
  for (let token: string | undefined = ''; token !== undefined;) {
    const query = new URLSearchParams({ 'list-type': '2', prefix });
    if (token !== '') query.set('continuation-token', token);
    // Signatures are of %20 and never of +.
    const url = `${client.bucket}?${query.toString().replaceAll('+', '%20')}`;
    const { text } = await client.ask('GET', url, undefined, PAGE_LIMIT);
    if (!/<ListBucketResult[\s>]/.test(text)) throw unusable(client.where, 'it gave no listing');
    for (const [, entry = ''] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
      const [key, size, written] = ['Key', 'Size', 'LastModified'].map((name) => member(entry, name));
      const writtenAt = Date.parse(written ?? '');
      if (key === undefined || !/^\d+$/.test(size ?? '') || Number.isNaN(writtenAt)) {
        throw unusable(client.where, 'its listing cannot be read');
      }
      if (key.startsWith(prefix)) yield { path: key.slice(prefix.length), size: Number(size), writtenAt };
    }
    const more = member(text, 'IsTruncated') === 'true';
    token = more ? member(text, 'NextContinuationToken') : undefined;
    // What is left out would be taken for something that nobody needs.
    if (more && !token) throw unusable(client.where, 'its listing ends in the middle');
  }
}

function member(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text === undefined ? undefined : decodeXml(text);
}

/** Text of an XML document. */
export const decodeXml = (text: string): string =>
  text
    .replace(/&#(x?)([0-9a-fA-F]{1,6});/g, (_, hex: string, code: string) =>
      String.fromCodePoint(Number.parseInt(code, hex === '' ? 10 : 16)),
    )
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');
