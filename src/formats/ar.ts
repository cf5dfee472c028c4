/** One member of an `ar` archive. `data` shares memory with the archive. */
export interface ArMember {
  readonly name: string;
  readonly data: Uint8Array;
}

const MAGIC = '!<arch>\n';
const HEADER = 60;

/**
 * Reads an `ar` archive (System V/GNU variant, as ar(5) and deb(5) describe it) from memory.
 *
 * Long names (`//`, `#1/…`) do not occur in Debian packages and are refused.
 *
 * @throws TypeError that says what is wrong and at which byte.
 */
export function readAr(archive: Uint8Array): ArMember[] {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC)
    throw new TypeError('not an ar archive: it has another magic');
  const members: ArMember[] = [];
  let offset = MAGIC.length;
  while (offset < bytes.length) {
    if (offset + HEADER > bytes.length) throw new TypeError(`ar archive ends inside a header at byte ${offset}`);
    const header = bytes.toString('latin1', offset, offset + HEADER);
    if (!header.endsWith('`\n')) throw new TypeError(`ar archive has a damaged header at byte ${offset}`);
    const name = header.slice(0, 16).trimEnd().replace(/\/$/, '');
    const size = header.slice(48, 58).trimEnd();
    if (!/^\d+$/.test(size)) throw new TypeError(`ar member at byte ${offset} has no valid size`);
    if (name === '' || /[/\0]/.test(name) || name.startsWith('#1')) {
      throw new TypeError(`ar member at byte ${offset} has an unsupported name: ${JSON.stringify(name)}`);
    }
    const start = offset + HEADER;
    const end = start + Number(size);
    if (end > bytes.length) throw new TypeError(`ar member ${JSON.stringify(name)} ends after the archive does`);
    members.push({ name, data: bytes.subarray(start, end) });
    // Members begin at even offsets; the padding byte of the last one may be missing.
    offset = end + (end % 2);
  }
  return members;
}
