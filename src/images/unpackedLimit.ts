/**
 * The most bytes that a package or a layer may unpack to; some compressors make a thousand times as much of nothing.
 * The same as a step may leave unless it says otherwise.
 */
const MOST_UNPACKED = 32 * 1024 ** 3;

/** Counts the bytes of something that is unpacked. @throws TypeError when there are more than `limit`. */
export function unpackedCounter(limit = MOST_UNPACKED): (bytes: Uint8Array) => void {
  let total = 0;
  return (bytes) => {
    total += bytes.length;
    if (total > limit) throw new TypeError(`it unpacks to more than ${limit} bytes`);
  };
}
