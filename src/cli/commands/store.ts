import type { CheckProgress, CheckSummary } from '../../store/check/check.ts';
import { checkStore } from '../../store/check/checkStore.ts';
import { type Finding, isHarmless } from '../../store/check/finding.ts';
import { VmbuildError } from '../../model/errors.ts';
import { openStoreForReading } from '../../store/openStore.ts';
import { formatBytes, formatCount, formatDuration } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { type GlobalOptions, storeFolder } from '../settings.ts';

/** Options of `vmbuild store check`. */
interface CheckCommandOptions extends GlobalOptions {
  readonly json?: boolean;
}

/**
 * `vmbuild store check`: computes every digest in the store again, and names what is damaged, missing or does not
 * belong there.
 *
 * @throws VmbuildError CHECK_FAILED if something is.
 */
export async function storeCheckCommand(options: CheckCommandOptions): Promise<void> {
  const store = await openStoreForReading(await storeFolder(options));
  using interrupt = interruptSignal();
  const start = performance.now();
  const findings: Finding[] = [];
  const progress = progressLine();
  let summary: CheckSummary;
  try {
    summary = await checkStore(store, {
      signal: interrupt.signal,
      onFinding: (finding) => void findings.push(finding),
      onProgress: progress.show,
    });
  } finally {
    progress.clear();
  }
  findings.sort((a, b) => (a.path < b.path ? -1 : 1));
  const problems = findings.filter((finding) => !isHarmless(finding));
  if (options.json === true) {
    for (const finding of findings) printLine({ type: 'finding', ...finding });
    printLine({ type: 'checked', clean: problems.length === 0, store: store.layout.root, ...summary });
  } else {
    for (const finding of findings) process.stdout.write(`${describeFinding(finding)}  next: ${finding.remedy}\n`);
    process.stdout.write(`checked ${summaryOf(summary)}, ${formatDuration(performance.now() - start)}\n`);
  }
  if (problems.length > 0) {
    throw new VmbuildError(
      'CHECK_FAILED',
      `${formatCount(problems.length, 'thing')} in ${store.layout.root} is wrong`,
      {
        hints: ['vmbuild store check --repair moves away what is damaged, and makes again what is kept.'],
      },
    );
  }
}

/** One line for a program, like those of `vmbuild realize --json`. */
export function printLine(line: object): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...line })}\n`);
}

/** What is wrong, for people. */
export function describeFinding({ trouble, path, message }: Finding): string {
  return `${trouble}  ${path}\n  ${message}\n`;
}

/** What was looked at, for people. */
export function summaryOf(summary: CheckSummary): string {
  const { artifacts, sources, blobs, images, realisations, logs, bytes } = summary;
  const parts = [
    formatCount(artifacts, 'artifact'),
    formatCount(sources, 'source'),
    ...(blobs === 0 ? [] : [formatCount(blobs, 'blob')]),
    formatCount(images, 'image'),
    formatCount(realisations, 'realisation'),
    formatCount(logs, 'log'),
  ];
  return `${parts.join(', ')}: ${formatBytes(bytes)} read`;
}

/** One line on a terminal that is written over; nothing elsewhere. */
export function progressLine(): { readonly show: (progress: CheckProgress) => void; readonly clear: () => void } {
  const { stderr } = process;
  const interactive = stderr.isTTY && process.env['CI'] === undefined && process.env['TERM'] !== 'dumb';
  if (!interactive) return { show: () => {}, clear: () => {} };
  return {
    show: ({ done, total, bytes }) => void stderr.write(`\r\x1b[Kchecked ${done} of ${total}, ${formatBytes(bytes)}`),
    clear: () => void stderr.write('\r\x1b[K'),
  };
}
