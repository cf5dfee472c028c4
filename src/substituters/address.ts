import { parseOciReference } from '../formats/ociReference.ts';
import { errorMessage, VmbuildError } from '../model/errors.ts';

/** Objects in a bucket. */
export interface S3Address {
  readonly kind: 's3';
  readonly bucket: string;
  /** Without slashes at its ends; may be empty. */
  readonly prefix: string;
  /** Origin of the server; undefined for Amazon's in the region. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  /** Where the bucket's name stands: before the host, or first in the path. */
  readonly style: 'virtual' | 'path';
}

/** Objects in a repository of a registry. */
export interface OciAddress {
  readonly kind: 'oci';
  readonly registry: string;
  readonly repository: string;
}

/** A cache's address, checked. Credentials never stand in it. */
export type CacheAddress =
  | { readonly kind: 'file'; readonly folder: string }
  | { readonly kind: 'http'; readonly base: string }
  | S3Address
  | OciAddress;

/**
 * Parses the address of a cache: `file:///folder`, `http(s)://host/path`, `s3://bucket/prefix?endpoint=…&region=…&style=…`, or
 * `oci://registry/repository`.
 *
 * @throws VmbuildError USAGE
 */
export function parseCacheAddress(text: string): CacheAddress {
  const url = URL.parse(text);
  const wrong = (why: string): VmbuildError =>
    new VmbuildError('USAGE', `${JSON.stringify(withoutSecrets(text))} is no address of a cache: ${why}`);
  if (url === null) throw wrong('it is no URL');
  if (url.username !== '' || url.password !== '') {
    throw wrong('credentials in an address end up in logs; put them into the configuration (docs/caches.md)');
  }
  if (url.hash !== '' || (url.search !== '' && url.protocol !== 's3:')) {
    throw wrong('a query or a fragment has no place in it');
  }
  switch (url.protocol) {
    case 'file:':
      if (url.host !== '') throw wrong('file:// takes a path of this machine, with three slashes');
      return { kind: 'file', folder: decodeURIComponent(url.pathname) };
    case 'http:':
    case 'https:':
      return { kind: 'http', base: url.href };
    case 's3:':
      return parseS3(url, wrong);
    case 'oci:':
      try {
        const { registry, repository, tag, digest } = parseOciReference(
          text.slice('oci://'.length).replace(/\/+$/, ''),
        );
        if (tag !== undefined || digest !== undefined) throw new TypeError('a tag or a digest has no place in it');
        return { kind: 'oci', registry, repository };
      } catch (error) {
        throw wrong(errorMessage(error));
      }
    default:
      throw wrong(`${url.protocol} is not known`);
  }
}

/** Amazon's rules for names of buckets; `_` and capitals are in older ones, and on other servers. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/;

function parseS3(url: URL, wrong: (why: string) => VmbuildError): S3Address {
  const known = ['endpoint', 'region', 'style'];
  const unknown = [...url.searchParams.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined) throw wrong(`${unknown} is not known; it takes ${known.join(', ')}`);
  if (!BUCKET.test(url.host)) throw wrong(`${JSON.stringify(url.host)} is no name of a bucket`);
  const prefix = url.pathname.replace(/^\/+|\/+$/g, '');
  if (!/^[A-Za-z0-9._/-]*$/.test(prefix)) throw wrong('its path has other characters than letters, digits and . _ - /');
  const given = url.searchParams.get('endpoint');
  const endpoint = given === null ? undefined : URL.parse(given);
  if (endpoint === null || (endpoint && !/^https?:$/.test(endpoint.protocol)))
    throw wrong('its endpoint is no web address');
  if (endpoint !== undefined && endpoint.href !== `${endpoint.origin}/`) {
    throw wrong('its endpoint is more than https://host:port');
  }
  const region = url.searchParams.get('region') ?? undefined;
  if (region !== undefined && !/^[a-z0-9-]+$/.test(region)) throw wrong('its region is none');
  // A certificate for *.host does not stand for names with further dots, and few servers of one's own have such names at all.
  const usual = endpoint === undefined && !url.host.includes('.') ? 'virtual' : 'path';
  const style = url.searchParams.get('style') ?? usual;
  if (style !== 'virtual' && style !== 'path') throw wrong('its style is neither virtual nor path');
  return { kind: 's3', bucket: url.host, prefix, endpoint: endpoint?.origin, region, style };
}

function withoutSecrets(text: string): string {
  return text.replace(/\/\/[^/@]*@/, '//…@');
}
