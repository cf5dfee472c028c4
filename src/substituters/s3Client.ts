import { AwsV4Signer } from 'aws4fetch';
import { expectStatus, httpSend, readBytes, withRetries } from '../io/http.ts';
import { redactUrl } from '../io/httpError.ts';
import type { HttpBody, HttpOptions, HttpResponse } from '../io/httpExchange.ts';
import { sha256 } from '../model/digest.ts';
import { VmbuildError } from '../model/errors.ts';
import type { S3Address } from './address.ts';
import { denied } from './denied.ts';

/** What Amazon's tools call credentials; they never leave this module but as signatures. */
interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** Who somebody is to S3 servers, and where they are. */
export interface AwsIdentity {
  /** Undefined: requests are not signed, which public buckets allow for reading. */
  readonly credentials: AwsCredentials | undefined;
  readonly region: string | undefined;
}

/** A request to a bucket. */
interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the body, if there is one. */
  readonly sha256: string | undefined;
}

/** Requests to one bucket. */
export interface S3Client {
  /** Base URL of the objects. */
  readonly base: string;
  /** URL of the bucket, which is asked for listings; and where the objects lie in it, without slashes at the ends. */
  readonly bucket: string;
  readonly prefix: string;
  readonly where: string;
  /** The headers that sign a request (AWS Signature Version 4; the body by its digest, so that it can be streamed). */
  readonly sign: (request: S3Request) => Promise<Readonly<Record<string, string>>>;
  /** Throws what an answer that is none is about. */
  readonly explain: (response: HttpResponse) => Promise<void>;
  /** One request with its small answer of at most `limit` bytes, with retries. */
  readonly ask: (
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    target: string,
    body: (HttpBody & { readonly sha256: string }) | undefined,
    limit?: number,
  ) => Promise<{ readonly text: string; readonly etag: string | undefined }>;
}

/** The most of an answer that is looked at. */
const ANSWER_LIMIT = 64 * 1024;

/** What Amazon's tools take where nothing is said, and what other servers do not look at. */
const USUAL_REGION = 'us-east-1';

/** What servers say to requests that are signed by nobody, wrongly, or by somebody who may not. */
const CREDENTIALS_HINT =
  'Give credentials as Amazon’s tools take them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE in ~/.aws/credentials. ' +
  'Who reads must be allowed s3:GetObject and s3:ListBucket: without the latter, S3 answers 403 for what is not there.';

/** Codes that are about credentials, which not every server sends with status 403. */
const CREDENTIALS_CODES: readonly string[] = [
  'AccessDenied',
  'ExpiredToken',
  'InvalidAccessKeyId',
  'InvalidToken',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch',
  'XAdminUserNotFound', // versitygw, with status 404
];

/** Makes the client of a bucket; nothing is sent yet. */
export function openS3Client(address: S3Address, identity: AwsIdentity, http: HttpOptions): S3Client {
  const { bucket, prefix } = address;
  const region = address.region ?? identity.region ?? USUAL_REGION;
  const where = `s3://${[bucket, prefix].filter((part) => part !== '').join('/')}`;
  const endpoint = new URL(address.endpoint ?? `https://s3.${region}.amazonaws.com`);
  if (address.style === 'virtual') endpoint.host = `${bucket}.${endpoint.host}`;
  const origin = address.style === 'path' ? `${endpoint.origin}/${bucket}` : endpoint.origin;
  const base = prefix === '' ? origin : `${origin}/${prefix}`;
  /** Signing keys of a day. */
  const signingKeys = new Map<string, ArrayBuffer>();

  const sign: S3Client['sign'] = async ({ method, url, headers, sha256: digest }) => {
    const { credentials } = identity;
    if (credentials === undefined) return {};
    const signer = new AwsV4Signer({
      method,
      url,
      headers: { ...headers, 'x-amz-content-sha256': digest ?? sha256('') },
      accessKeyId: credentials.accessKeyId,
      secretAccessKey: credentials.secretAccessKey,
      ...(credentials.sessionToken === undefined ? {} : { sessionToken: credentials.sessionToken }),
      service: 's3',
      region,
      cache: signingKeys,
    });
    const signed = Object.fromEntries((await signer.sign()).headers);
    // Node makes it of the address, as the signature does.
    delete signed['host'];
    return signed;
  };

  const explain = async (response: HttpResponse): Promise<void> => {
    const { status } = response;
    const text = (await readBytes(response, ANSWER_LIMIT, true)).toString();
    // Of the text only this: messages quote what was signed.
    const code = /<Code>([A-Za-z]{1,64})<\/Code>/.exec(text)?.[1];
    const said = `HTTP ${status}${code === undefined ? '' : ` ${code}`} from ${redactUrl(response.url)}`;
    if (status === 401 || status === 403 || CREDENTIALS_CODES.includes(code ?? ''))
      throw denied(where, said, CREDENTIALS_HINT);
    if (code === 'NoSuchBucket') throw unusable(where, `there is no such bucket (${said})`);
    // Only this is a miss.
    if (status === 404 && code !== undefined && code !== 'NoSuchKey') throw unusable(where, said);
    if (status === 301 || (status === 400 && code !== 'RequestTimeout')) {
      throw unusable(where, `${said}; is the region ${region} right?`);
    }
  };

  const ask: S3Client['ask'] = (method, target, body, limit = ANSWER_LIMIT) =>
    withRetries(target, http, async () => {
      const headers = await sign({ method, url: target, headers: {}, sha256: body?.sha256 });
      const response = await httpSend(target, http, headers, { method, body });
      if (response.status >= 300) await explain(response);
      expectStatus(response, [200, 201, 204]);
      return { text: (await readBytes(response, limit)).toString(), etag: response.headers.etag };
    });

  return { base, bucket: `${origin}/`, prefix, where, sign, explain, ask };
}

/** The error for a bucket that is not as it should be. */
export function unusable(where: string, why: string): VmbuildError {
  return new VmbuildError('CACHE_UNUSABLE', `${where}: ${why}`);
}
