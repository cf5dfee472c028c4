import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { flashUse } from '../../firmware/flashUse.ts';
import { maskedDigest } from '../../firmware/masked.ts';
import { findProducers } from '../../firmware/producers.ts';
import { errorMessage, VmbuildError } from '../../model/errors.ts';
import { openContext } from '../context.ts';
import { formatTable } from '../format.ts';
import { type InspectDocument, renderJson } from '../render/romJson.ts';
import { renderTree } from '../render/romTree.ts';
import { useText } from '../render/romUse.ts';
import type { GlobalOptions } from '../settings.ts';
import { findSubject, madeFiles, type Subject, type SubjectOptions } from '../subject.ts';

/** Options of `vmbuild inspect`. */
interface InspectOptions extends GlobalOptions, SubjectOptions {
  readonly json?: boolean;
  readonly html?: string;
  readonly depth?: number;
  readonly all?: boolean;
}

/** `vmbuild inspect`: what a firmware image consists of, and where each part is from. */
export async function inspectCommand(what: string, options: InspectOptions): Promise<void> {
  const context = await openContext(options, 'read');
  const subject = await findSubject(what, context, options);
  const { root, slots } = subject;
  const producers = await findProducers(root, madeFiles(subject, context), slots);
  const document = describe(subject);
  if (options.html !== undefined) {
    const { renderPage } = await import('../render/romPage.ts');
    await writePage(resolve(options.html), renderPage(document, root, subject.graph, producers));
  }
  if (options.json === true) {
    process.stdout.write(renderJson(document, root, producers));
    return;
  }
  const tree = { depth: options.depth ?? Infinity, all: options.all ?? false, color: process.stdout.isTTY };
  process.stdout.write(renderTree(root, producers, tree));
  const rows = [['sha256', document.sha256], ...(document.masked === undefined ? [] : [['masked', document.masked]])];
  process.stdout.write(`\n${formatTable(rows)}${document.use === undefined ? '' : useText(document.use)}`);
}

/** What is known of an image as a whole. */
function describe({ path, image, root, made, platform, slots }: Subject): InspectDocument {
  return {
    path,
    target: made?.target,
    artifact: made?.artifact,
    platform: platform?.name,
    sha256: root.digest,
    // Without its platform, nobody knows what of an image is a vendor's.
    masked: platform === undefined ? undefined : maskedDigest(image, slots),
    use: platform && flashUse(root, platform.flash),
  };
}

async function writePage(path: string, page: string): Promise<void> {
  try {
    await writeFile(path, page);
  } catch (error) {
    throw new VmbuildError('USAGE', `${path} cannot be written: ${errorMessage(error)}`, { cause: error });
  }
}
