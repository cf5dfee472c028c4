import { VmbuildError } from '../model/errors.ts';

/** A cache's address, checked. Credentials never stand in it. */
export type CacheAddress =
  { readonly kind: 'file'; readonly folder: string } | { readonly kind: 'http'; readonly base: string };

/**
 * Parses the address of a cache: `file:///folder` or `http(s)://host/path`.
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
  switch (url.protocol) {
    case 'file:':
      if (url.host !== '') throw wrong('file:// takes a path of this machine, with three slashes');
      return { kind: 'file', folder: decodeURIComponent(url.pathname) };
    case 'http:':
    case 'https:':
      if (url.search !== '' || url.hash !== '') throw wrong('a query or a fragment has no place in it');
      return { kind: 'http', base: url.href };
    default:
      throw wrong(`${url.protocol} is not known`);
  }
}

function withoutSecrets(text: string): string {
  return text.replace(/\/\/[^/@]*@/, '//…@');
}
