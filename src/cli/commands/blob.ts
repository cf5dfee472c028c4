import { basename, resolve } from 'node:path';
import { supplyCommand } from '../../build/takeBlobs.ts';
import { recogniseBlob, refused } from '../../firmware/recogniseBlob.ts';
import { sha256, shortDigest } from '../../model/digest.ts';
import type { Platform } from '../../model/recipe.ts';
import { adoptBlob, type Binding, changeBindings, readBindings } from '../../store/blobs.ts';
import { openContext } from '../context.ts';
import { formatBytes, formatTable } from '../format.ts';
import { interruptSignal } from '../interrupt.ts';
import { readFlashFile } from '../readFlashFile.ts';
import type { GlobalOptions } from '../settings.ts';

/** `vmbuild blob add`: takes a file apart and binds its parts to the slots that they fill. */
export async function blobAdd(
  name: string,
  file: string,
  options: GlobalOptions & { readonly slot?: string },
): Promise<void> {
  const { project, store } = await openContext(options, 'write');
  const platform = await project.platform(name);
  const bytes = await readFlashFile(resolve(file), refused);
  const { slots, notes } = recogniseBlob(platform, { name: file, bytes }, options.slot);
  using interrupt = interruptSignal();
  const of = { name: basename(file), sha256: sha256(bytes), size: bytes.length };
  const at = new Date().toISOString();
  const added: Record<string, Binding> = {};
  for (const [slot, parts] of Object.entries(slots)) {
    const stored: Record<string, Binding['parts'][string]> = {};
    for (const { name: mount, offset, content } of parts) {
      stored[mount] = { sha256: await adoptBlob(store, content), size: content.length, offset };
    }
    added[slot] = { file: of, parts: stored, at };
  }
  await changeBindings(store, name, interrupt.signal, (before) => ({
    ...without(before, replaced(platform, slots)),
    ...added,
  }));
  for (const [slot, { parts }] of Object.entries(added)) {
    process.stdout.write(`${slot} (${licenceOf(platform, slot)})\n`);
    process.stdout.write(formatTable(Object.entries(parts).map(partRow)));
  }
  for (const note of notes) process.stdout.write(`note: ${note}\n`);
}

/** Slots that a file decides about: a dump also says which regions there are not. */
function replaced(platform: Platform, filled: Readonly<Record<string, unknown>>): readonly string[] {
  const regions = Object.entries(platform.blobs ?? {}).flatMap(([slot, { fills }]) =>
    'region' in fills ? [slot] : [],
  );
  const names = Object.keys(filled);
  return regions.some((slot) => names.includes(slot)) ? [...names, ...regions] : names;
}

/** `vmbuild blob ls`: the slots of a platform, what is bound to them, and how to fill those that are empty. */
export async function blobLs(name: string, options: GlobalOptions & { readonly json?: boolean }): Promise<void> {
  const { project, store } = await openContext(options, 'read');
  const slots = (await project.platform(name)).blobs ?? {};
  const bindings = readBindings(store, name);
  if (options.json === true) {
    const entries = Object.entries(slots).map(([slot, blob]) => ({ slot, ...blob, bound: bindings[slot] ?? null }));
    process.stdout.write(`${JSON.stringify(entries, null, 2)}\n`);
    return;
  }
  if (Object.keys(slots).length === 0) process.stdout.write(`${name} takes no vendor blobs\n`);
  for (const [slot, blob] of Object.entries(slots)) {
    process.stdout.write(`${slot} (${blob.licence}${blob.optional === true ? ', optional' : ''}): ${blob.what}\n`);
    const binding = bindings[slot];
    if (binding === undefined) {
      const empty = blob.source === undefined ? 'empty' : `not bound: ${blob.source.path} is used`;
      const rows = [[`  ${empty}`], ...blob.from.map((from) => [`  from ${from}`]), [`  ${supplyCommand(name, blob)}`]];
      process.stdout.write(formatTable(rows));
    } else {
      process.stdout.write(`  from ${binding.file.name}, sha256 ${binding.file.sha256}, bound ${binding.at}\n`);
      process.stdout.write(formatTable(Object.entries(binding.parts).map(partRow)));
    }
  }
  for (const slot of Object.keys(bindings).filter((bound) => !Object.hasOwn(slots, bound))) {
    process.stdout.write(`${slot}: ${name} has no such slot any more; vmbuild blob rm ${name} ${slot}\n`);
  }
}

/** `vmbuild blob rm`: empties slots. */
export async function blobRm(name: string, slots: readonly string[], options: GlobalOptions): Promise<void> {
  const { store } = await openContext(options, 'write');
  using interrupt = interruptSignal();
  await changeBindings(store, name, interrupt.signal, (before) => {
    const unbound = slots.filter((slot) => !Object.hasOwn(before, slot));
    if (unbound.length > 0) {
      throw refused(`nothing is bound to ${unbound.join(', ')} of ${name}`, [
        `vmbuild blob ls ${name} shows its slots.`,
      ]);
    }
    return without(before, slots);
  });
  process.stdout.write(`${slots.join(', ')} of ${name}: empty\n`);
}

function without<T>(record: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
}

function licenceOf(platform: Platform, slot: string): string {
  return platform.blobs?.[slot]?.licence ?? '';
}

function partRow([mount, { sha256: digest, size, offset }]: [string, Binding['parts'][string]]): string[] {
  return [`  ${mount}`, shortDigest(digest), formatBytes(size), `at 0x${offset.toString(16)}`];
}
