import { describe, expect, it } from 'vitest';
import { parseCacheAddress } from '../../src/substituters/address.ts';

describe('addresses of caches', () => {
  it.each([
    ['file:///a%20b/c', { kind: 'file', folder: '/a b/c' }],
    ['https://host:1/x/', { kind: 'http', base: 'https://host:1/x/' }],
    [
      's3://bucket/a/b/?region=eu-test-1',
      { kind: 's3', bucket: 'bucket', prefix: 'a/b', endpoint: undefined, region: 'eu-test-1', style: 'virtual' },
    ],
    [
      's3://bucket?endpoint=http://127.0.0.1:9000',
      { kind: 's3', bucket: 'bucket', prefix: '', endpoint: 'http://127.0.0.1:9000', region: undefined, style: 'path' },
    ],
    // A certificate for *.host does not stand for a.b.host.
    [
      's3://a.bucket',
      { kind: 's3', bucket: 'a.bucket', prefix: '', endpoint: undefined, region: undefined, style: 'path' },
    ],
    ['oci://host:5000/team/cache', { kind: 'oci', registry: 'host:5000', repository: 'team/cache' }],
  ])('%s', (text, address) => {
    expect(parseCacheAddress(text)).toEqual(address);
  });

  it.each([
    ['https://user:secret-word@host/', 'credentials in an address'],
    ['s3://key:secret-word@bucket', 'credentials in an address'],
    ['oci://user:secret-word@host/repo', 'credentials in an address'],
    ['https://host/?token=x', 'a query'],
    ['s3://bucket?secret=x', 'secret is not known'],
    ['s3://bucket?endpoint=ftp://host', 'endpoint is no web address'],
    ['s3://bucket?endpoint=https://host/path', 'more than https://host:port'],
    ['s3://bucket?endpoint=https://user:pw@host', 'more than https://host:port'],
    ['s3://bucket?style=both', 'neither virtual nor path'],
    ['s3://b/x', 'no name of a bucket'],
    ['s3://bucket/../other%2f', 'other characters'],
    ['oci://host.example/repo:tag', 'a tag or a digest'],
    ['oci://repo', 'does not begin with a registry'],
    ['oci://host.example/Upper', 'not the name of a repository'],
    ['ftp://host/', 'ftp: is not known'],
    ['file://host/x', 'three slashes'],
    ['folder', 'it is no URL'],
  ])('refuses %s', (text, why) => {
    expect(() => parseCacheAddress(text)).toThrow(why);
    expect(() => parseCacheAddress(text)).not.toThrow('secret-word');
  });
});
