import { flashUse, type FlashUse } from '../../firmware/flashUse.ts';
import type { Part } from '../../firmware/parts/part.ts';
import { findProducers } from '../../firmware/producers.ts';
import { type Growth, growths, type RoomRow, roomRows } from '../../firmware/sizes.ts';
import { shortDigest } from '../../model/digest.ts';
import { printable } from '../../model/printable.ts';
import { openContext } from '../context.ts';
import { formatTable } from '../format.ts';
import { producerText } from '../render/romFacts.ts';
import { useText } from '../render/romUse.ts';
import type { GlobalOptions } from '../settings.ts';
import { findSubject, madeFiles, previousOf, type Subject, type SubjectOptions } from '../subject.ts';

/** Options of `vmbuild size`. */
interface SizeOptions extends GlobalOptions, SubjectOptions {
  readonly against?: string;
  readonly json?: boolean;
}

/** How many of the parts that changed most are shown. */
const TOP = 10;

/** `vmbuild size`: what takes the room in flash, against the budget and against what was there before. */
export async function sizeCommand(what: string, options: SizeOptions): Promise<void> {
  const context = await openContext(options, 'read');
  const subject = await findSubject(what, context, options);
  const against = options.against ?? (await previousOf(subject, context));
  const before = against === undefined ? undefined : await findSubject(against, context);
  const { root, slots, platform } = subject;
  const rows = roomRows(root);
  const use = platform && flashUse(root, platform.flash);
  const grown = before === undefined ? [] : growths(before.root, root);
  if (options.json === true) {
    const document = { format: 1, ...side(subject), use, rows: rows.map(rowAsJson), before: before && side(before) };
    process.stdout.write(`${JSON.stringify({ ...document, grown }, null, 1)}\n`);
    return;
  }
  const producers = await findProducers(root, madeFiles(subject, context), slots);
  const from = (part: Part): string => {
    const producer = producers.get(part);
    return producer === undefined ? '' : producerText(producer);
  };
  process.stdout.write(roomTable(rows, before && roomRows(before.root), use, from));
  if (use !== undefined) process.stdout.write(useText(use));
  if (before === undefined) {
    process.stdout.write('there is no result before this one to compare with; --against names another\n');
  } else {
    process.stdout.write(growthText(grown, before));
  }
}

function roomTable(
  rows: readonly RoomRow[],
  before: readonly RoomRow[] | undefined,
  use: FlashUse | undefined,
  from: (part: Part) => string,
): string {
  const old = new Map(before?.map(({ name, size }) => [name, size]));
  return formatTable(
    rows.map(({ name, size, part }) => [
      `  ${printable(name)}`,
      String(size).padStart(10),
      use === undefined ? '' : `${((100 * size) / use.budget).toFixed(1)} %`.padStart(7),
      before === undefined ? '' : change(old.get(name), size).padStart(9),
      from(part),
    ]),
  );
}

function change(before: number | undefined, after: number): string {
  if (before === undefined) return 'new';
  if (before === after) return '';
  return signed(after - before);
}

function signed(bytes: number): string {
  return bytes > 0 ? `+${bytes}` : String(bytes);
}

function growthText(grown: readonly Growth[], { made, path }: Subject): string {
  const which = made === undefined ? path : `${made.target} ${shortDigest(made.artifact)}`;
  if (grown.length === 0) return `nothing has another size than in ${which}\n`;
  const rows = grown
    .slice(0, TOP)
    .map(({ name, before, after, packed }) => [
      signed(after - before).padStart(11),
      printable(name),
      packed ? '(unpacked)' : '',
    ]);
  const more = grown.length <= TOP ? '' : `  and ${grown.length - TOP} more\n`;
  return `since ${which}:\n${formatTable(rows)}${more}`;
}

function side({ path, made, root }: Subject): object {
  return { path, target: made?.target, artifact: made?.artifact, sha256: root.digest };
}

function rowAsJson({ name, size, part }: RoomRow): object {
  return { name, size, sha256: part.digest };
}
