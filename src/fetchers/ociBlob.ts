import { toOciDigest } from '../formats/ociImage.ts';
import { download } from '../io/httpDownload.ts';
import { redactUrl } from '../io/httpError.ts';
import type { HttpOptions } from '../io/httpExchange.ts';
import { openRegistry, type Registry } from '../io/registry.ts';
import type { OciLocation } from '../model/source.ts';
import type { FetchSettings, Locate } from './fetcher.ts';
import { hostOf, httpOptions } from './https.ts';

/** A blob of a registry: a layer of an image that was made elsewhere. */
export const locateOci: Locate<OciLocation> = async (source, location, context) => {
  const http = httpOptions(context);
  const registry = repositoryOf(location, context.settings, http);
  const path = `blobs/${toOciDigest(source.digest)}`;
  const url = `${registry.url}${path}`;
  return [
    {
      where: redactUrl(url),
      host: hostOf(url),
      fetch: async (file) => {
        const get = (headers: Readonly<Record<string, string>>) => registry.get(path, headers);
        const { digest } = await download(url, file, {
          ...http,
          get,
          size: source.size,
          onProgress: context.onProgress,
        });
        return digest;
      },
    },
  ];
};

/** Opens a repository with what the user has settled for its registry. */
export function repositoryOf(
  { registry, repository }: Pick<OciLocation, 'registry' | 'repository'>,
  settings: Pick<FetchSettings, 'plainRegistries' | 'registryCredentials'>,
  http: HttpOptions,
): Registry {
  return openRegistry({
    registry,
    repository,
    plainHttp: settings.plainRegistries?.includes(registry) === true ? true : undefined,
    credentials: settings.registryCredentials?.(registry),
    http,
  });
}
