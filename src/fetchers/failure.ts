import { VmbuildError } from '../model/errors.ts';
import type { Source } from '../model/source.ts';

/** `where` of the failure that no Go module proxy is configured. */
export const NO_GO_PROXY = 'GOPROXY';

/** One place that did not give the source. */
export interface Failure {
  readonly where: string;
  readonly reason: string;
  /** `mismatch`: it gave something else. `gone`: a mirror of the Debian archive says 404. */
  readonly type: 'mismatch' | 'gone' | 'other';
  /** True for a mirror of the Debian archive. */
  readonly mirror?: boolean | undefined;
}

/** The error that ends a fetch: what was wanted, every place with its reason, and what to do. */
export function unavailable(source: Source, failures: readonly Failure[], offline: boolean): VmbuildError {
  const list = failures.map(({ where, reason }) => `\n  ${where}: ${reason}`).join('');
  const byFile = `Put the file into a folder, as ${source.name} or under its digest, and give the folder with --source-dir.`;
  const name = `${source.name} (sha256 ${source.digest})`;
  const step = source.name;

  if (failures.some(({ type }) => type === 'mismatch')) {
    return new VmbuildError(
      'SOURCE_MISMATCH',
      `${name}: what was found has another content; it was thrown away${list}`,
      {
        step,
        hints: [
          'If the new content is meant, look at what changed and record it with `vmbuild update`.',
          'If not, a server or mirror gives out something else than it should; use another one.',
          byFile,
        ],
      },
    );
  }
  const mirrors = failures.filter(({ mirror }) => mirror === true);
  if (mirrors.length > 0 && mirrors.every(({ type }) => type === 'gone')) {
    return new VmbuildError('PACKAGE_GONE', `${name}: no Debian mirror has it any more${list}`, {
      step,
      hints: [
        'Move the lock to what the archive has now: `vmbuild update`.',
        byFile,
        'Make the Debian snapshot archive, which keeps every version, reachable from here.',
        'Use the cache of somebody who has built this before.',
      ],
    });
  }
  const hints = [
    offline ? 'Offline, nothing is fetched: run once with the network.' : 'Check the network and the proxy settings.',
  ];
  if (failures.some(({ where }) => where === NO_GO_PROXY))
    hints.unshift('Set GOPROXY to the address of a Go module proxy.');
  const problem = failures.length === 0 ? 'there is no place to get it from' : 'could not be had from any place';
  return new VmbuildError('SOURCE_UNAVAILABLE', `${name}: ${problem}${list}`, {
    step,
    hints: [...hints, byFile],
  });
}
