import { VmbuildError } from '../model/errors.ts';

/** The error for a cache that lets nobody in. */
export function denied(
  where: string,
  why: string,
  hint = 'Put credentials for it into the configuration, or into VMBUILD_CREDENTIALS; docs/caches.md says how.',
): VmbuildError {
  return new VmbuildError('CACHE_DENIED', `${where} refuses access: ${why}`, { hints: [hint] });
}
