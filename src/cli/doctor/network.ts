import { findDebianMirrors } from '../../fetchers/aptMirrors.ts';
import type { FetchSettings } from '../../fetchers/fetcher.ts';
import { goProxies } from '../../fetchers/goProxy.ts';
import { redactUrl } from '../../io/httpError.ts';
import { type Fact, fact } from './fact.ts';

/** Milliseconds that a mirror may take to answer with four kilobytes. */
const PATIENCE = 10_000;

const SOURCES =
  'Sources that are not in the store can come from folders (--source-dir) or from `sourceMirrors` of the configuration.';

/** Where Debian packages and Go modules would come from. Asks each Debian mirror for the beginning of one small file. */
export async function networkFacts(settings: FetchSettings): Promise<readonly Fact[]> {
  if (settings.offline) return [fact('network', 'not tried: --offline')];
  const [debian, go] = await Promise.all([debianFact(settings), goFact(settings)]);
  return [debian, go];
}

async function debianFact(settings: FetchSettings): Promise<Fact> {
  const name = 'Debian mirrors';
  try {
    const { mirrors, unusable } = await findDebianMirrors({
      settings,
      signal: AbortSignal.timeout(2 * PATIENCE),
      http: { tries: 1, connectTimeout: PATIENCE, idleTimeout: PATIENCE },
    });
    const others = unusable.map(({ where, reason }) => `${where} ${reason}.`);
    const none =
      'Name one in `debianMirrors` of the configuration; else packages come from the snapshot archive alone, slowly.';
    return mirrors.length > 0
      ? fact(name, mirrors.map(redactUrl).join(', '), ...others)
      : fact(name, 'none', ...others, none, SOURCES);
  } catch {
    return fact(name, `no answer within ${(2 * PATIENCE) / 1000} s`, SOURCES);
  }
}

async function goFact(settings: FetchSettings): Promise<Fact> {
  const { urls } = await goProxies(settings);
  return urls.length > 0
    ? fact('Go module proxy', urls.map(redactUrl).join(', '))
    : fact(
        'Go module proxy',
        'none known',
        'Set GOPROXY, or `goProxy` of the configuration: u-root and gokvm are made of Go modules.',
      );
}
