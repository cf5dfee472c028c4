/**
 * One paragraph: field name in lower case → value. Continuation lines are joined by newlines, without
 * the white space that leads them; a line that is a single dot stays one.
 */
export type Stanza = ReadonlyMap<string, string>;

/**
 * Parses the paragraphs of a control file: Packages, Release, the `control` of a .deb
 * (Debian policy §5.1, deb822(5)). Field names are case-insensitive there, so they come out in lower case.
 *
 * It knows nothing of OpenPGP armour: a clear-signed file must be verified and unwrapped first.
 *
 * @throws TypeError with the number of the line.
 */
export function* parseDeb822(text: string): Generator<Stanza> {
  let stanza = new Map<string, string>();
  let field: string | undefined;
  let lineNumber = 0;
  for (let start = 0; start < text.length;) {
    let end = text.indexOf('\n', start);
    if (end < 0) end = text.length;
    const line = text.slice(start, text[end - 1] === '\r' && end > start ? end - 1 : end);
    start = end + 1;
    lineNumber += 1;
    const first = line[0];
    if (first === '#') continue;
    if (first === ' ' || first === '\t') {
      if (line.trim() === '') {
        // Policy: a line of blanks does not separate paragraphs, but parsers may take it so; it is refused instead.
        throw new TypeError(`line ${lineNumber}: a line of blanks only`);
      }
      if (field === undefined) throw new TypeError(`line ${lineNumber}: a continuation line without a field`);
      stanza.set(field, `${stanza.get(field)}\n${line.trim()}`);
      continue;
    }
    if (first === undefined) {
      if (stanza.size > 0) yield stanza;
      stanza = new Map();
      field = undefined;
      continue;
    }
    const colon = line.indexOf(':');
    if (colon < 1) throw new TypeError(`line ${lineNumber}: not a field: ${JSON.stringify(line.slice(0, 80))}`);
    field = line.slice(0, colon).toLowerCase();
    if (!/^[!-9;-~]+$/.test(field) || field[0] === '-') {
      throw new TypeError(`line ${lineNumber}: not a field name: ${JSON.stringify(field)}`);
    }
    if (stanza.has(field)) throw new TypeError(`line ${lineNumber}: the field ${field} appears twice`);
    stanza.set(field, line.slice(colon + 1).trim());
  }
  if (stanza.size > 0) yield stanza;
}

/** An entry of the SHA256 field of a Release file. */
export interface ReleaseFile {
  readonly sha256: string;
  readonly size: number;
}

/**
 * The SHA256 field of a Release file (Debian wiki, DebianRepository/Format): path → checksum and size.
 *
 * @throws TypeError for a line that is not `<sha256> <size> <path>`.
 */
export function releaseFiles(release: Stanza): ReadonlyMap<string, ReleaseFile> {
  const files = new Map<string, ReleaseFile>();
  for (const line of (release.get('sha256') ?? '').split('\n')) {
    if (line === '') continue;
    const match = /^([0-9a-f]{64})\s+(\d+)\s+(\S+)$/.exec(line);
    if (match === null) throw new TypeError(`not a line of a SHA256 field: ${JSON.stringify(line.slice(0, 120))}`);
    files.set(match[3] as string, { sha256: match[1] as string, size: Number(match[2]) });
  }
  return files;
}
