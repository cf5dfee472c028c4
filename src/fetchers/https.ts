import { redactUrl } from '../io/httpError.ts';
import type { HttpOptions } from '../io/httpExchange.ts';
import { download } from '../io/httpDownload.ts';
import type { ProxyChoice } from '../io/httpAgents.ts';
import type { HttpsLocation, Source } from '../model/source.ts';
import type { Candidate, FetchContext, Locate } from './fetcher.ts';

/** A file on a web server. Plain http is fine too: what arrives is checked against the source's digest. */
export const locateHttps: Locate<HttpsLocation> = async (source, location, context) => [
  urlCandidate(source, location.url, context),
];

/** A candidate that downloads one URL to one file. */
export function urlCandidate(source: Source, url: string, context: FetchContext, proxy?: ProxyChoice): Candidate {
  return {
    where: redactUrl(url),
    host: hostOf(url),
    fetch: async (path) => {
      const options = { ...httpOptions(context), proxy, size: source.size, onProgress: context.onProgress };
      return (await download(url, path, options)).digest;
    },
  };
}

/** What every request of a fetch has in common. */
export function httpOptions(context: FetchContext): HttpOptions {
  return { ...context.http, signal: context.signal, onRetry: context.onRetry };
}

/** What is remembered as failed: the server, not the file. */
export function hostOf(url: string): string {
  return URL.parse(url)?.host ?? url;
}
