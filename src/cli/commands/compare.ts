import { basename, resolve } from 'node:path';
import { type Comparison, compareDump, type Verdict } from '../../firmware/compareDump.ts';
import { type Difference, pathText } from '../../firmware/compareTrees.ts';
import { sha256 } from '../../model/digest.ts';
import { VmbuildError } from '../../model/errors.ts';
import { printable } from '../../model/printable.ts';
import { openContext } from '../context.ts';
import { formatCount, formatTable } from '../format.ts';
import { readFlashFile } from '../readFlashFile.ts';
import type { GlobalOptions } from '../settings.ts';
import { findSubject, type SubjectOptions } from '../subject.ts';

/** Options of `vmbuild compare`. */
interface CompareOptions extends GlobalOptions, SubjectOptions {
  readonly json?: boolean;
}

/** How the command ends; docs/errors.md has them with the others. */
const EXIT_CODES: Readonly<Record<Verdict, number>> = { same: 0, 'same-but-apart': 9, different: 10 };

/** `vmbuild compare`: is what was read from a chip the image that can be rebuilt? */
export async function compareCommand(file: string, what: string, options: CompareOptions): Promise<void> {
  const context = await openContext(options, 'read');
  const subject = await findSubject(what, context, options);
  const dump = await readFlashFile(resolve(file), (message) => new VmbuildError('USAGE', message));
  const comparison = compareDump(subject.image, dump, subject.slots);
  process.exitCode = EXIT_CODES[comparison.verdict];
  const names = { dump: basename(file), image: subject.made?.target ?? basename(subject.path) };
  const sizes = { dump: dump.length, image: subject.image.length };
  if (options.json === true) {
    const sides = {
      dump: { path: resolve(file), sha256: sha256(dump), size: sizes.dump },
      image: { path: subject.path, target: subject.made?.target, sha256: subject.root.digest, size: sizes.image },
      platform: subject.platform?.name,
    };
    process.stdout.write(`${JSON.stringify({ format: 1, ...sides, ...asJson(comparison) }, null, 1)}\n`);
    return;
  }
  process.stdout.write(verdictText(comparison, names, sizes));
  process.stdout.write(formatTable(comparison.differences.map((one) => row(one, ''))));
  if (comparison.apart.length === 0) return;
  process.stdout.write('set apart:\n');
  process.stdout.write(formatTable(comparison.apart.map(({ difference, why }) => row(difference, why))));
  if (subject.platform === undefined) {
    process.stdout.write('note: --platform <name> says which vendor blobs are to be set apart\n');
  }
}

function verdictText(
  { verdict, differences }: Comparison,
  { dump, image }: { readonly dump: string; readonly image: string },
  sizes: { readonly dump: number; readonly image: number },
): string {
  switch (verdict) {
    case 'same':
      return `same: ${dump} is ${image}, every byte of it\n`;
    case 'same-but-apart':
      return `same but for what is set apart: ${dump} is ${image}; vendor blobs or what the machine writes itself differ\n`;
    case 'different': {
      const why =
        sizes.dump === sizes.image
          ? ''
          : `; it has ${sizes.dump} bytes and not ${sizes.image}: it is cut off, or of another board`;
      return `different: ${dump} is not ${image}: ${formatCount(differences.length, 'difference')}${why}\n`;
    }
  }
}

function row(difference: Difference, why: string): readonly string[] {
  const { change, detail } = difference;
  return [`  ${change}`, printable(pathText(difference)), printable(detail), ...(why === '' ? [] : [`(${why})`])];
}

function asJson({ verdict, differences, apart }: Comparison): object {
  return {
    verdict,
    differences: differences.map(differenceAsJson),
    apart: apart.map(({ difference, why }) => ({ ...differenceAsJson(difference), why })),
  };
}

function differenceAsJson({ path, change, before, after, detail }: Difference): object {
  const side = (part: typeof before): object | undefined => part && { size: part.size, sha256: part.digest };
  return { path: path.slice(1).map(({ name }) => name), change, detail, image: side(before), dump: side(after) };
}
