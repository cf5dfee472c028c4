import { closeSync, fchmodSync, openSync, writeSync } from 'node:fs';

/** Writes a file's content to a new file outside of the image, from which it is later moved to its place. */
export async function writeBlob(blob: string, content: AsyncIterable<Uint8Array>, executable: boolean): Promise<void> {
  const file = openSync(blob, 'wx', 0o600);
  try {
    for await (const piece of content) {
      for (let offset = 0; offset < piece.length;) offset += writeSync(file, piece, offset);
    }
    // Not left to open(): the umask of whoever runs this has no say.
    fchmodSync(file, executable ? 0o755 : 0o644);
  } finally {
    closeSync(file);
  }
}
