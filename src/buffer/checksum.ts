/**
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 *
 * @module
 */

/**
 * The one's complement sum of `view[start, end)` as 16-bit words, not complemented. A trailing odd
 * byte is the high half of a word (RFC 1071 §4.1).
 *
 * Adds 32-bit words and folds at the end, which one's complement arithmetic allows
 * (RFC 1071 §2 (C)). The sum of a packet of 65,535 bytes stays below 2^47, so a double is exact.
 */
export function onesSum(view: DataView, start: number, end: number): number {
  let sum = 0;
  let at = start;
  for (const last = end - 16; at <= last; at += 16) {
    sum += view.getUint32(at) + view.getUint32(at + 4) + view.getUint32(at + 8) + view.getUint32(at + 12);
  }
  for (const last = end - 4; at <= last; at += 4) sum += view.getUint32(at);
  if (at + 2 <= end) {
    sum += view.getUint16(at);
    at += 2;
  }
  if (at < end) sum += view.getUint8(at) << 8;
  return fold(sum);
}

/** Folds a sum of 32-bit words, below 2^53, into a one's complement sum of 16-bit words. */
function fold(sum: number): number {
  // 2^16 is 1 in this arithmetic, so carries above 16 bits are added back until none is left.
  const low = sum >>> 0;
  let folded = (low & 0xffff) + (low >>> 16) + (sum - low) / 2 ** 32;
  folded = (folded & 0xffff) + (folded >>> 16);
  return (folded & 0xffff) + (folded >>> 16);
}

/**
 * Computes the checksum to store for `view[start, end)`, whose checksum field is zero.
 *
 * @returns 16 bits, in host order
 */
export function checksum(view: DataView, start: number, end: number): number {
  return ~onesSum(view, start, end) & 0xffff;
}

/**
 * Computes the checksum of 32-bit words in network order. The checksum field among them is zero.
 *
 * @param sum the sum of the words, as unsigned numbers
 */
export function checksumOfSum(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/** Whether `view[start, end)` matches the checksum in it: the sum is all ones (RFC 1071 §1). */
export function isIntact(view: DataView, start: number, end: number): boolean {
  return onesSum(view, start, end) === 0xffff;
}

/**
 * Updates a checksum for one changed 16-bit word: HC' = ~(~HC + ~m + m') (RFC 1624 §3, eqn. 3).
 *
 * @param old the stored checksum
 * @param before the word before the change
 * @param after the word after the change
 */
export function updateChecksum(old: number, before: number, after: number): number {
  let sum = (~old & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Updates a checksum for one changed 32-bit word. */
export function updateChecksum32(old: number, before: number, after: number): number {
  return updateChecksum(updateChecksum(old, before >>> 16, after >>> 16), before & 0xffff, after & 0xffff);
}

/** Stores a 16-bit word at `at`, and updates the checksum at `checksumAt` that covers it. */
export function replaceUint16(view: DataView, at: number, value: number, checksumAt: number): void {
  view.setUint16(checksumAt, updateChecksum(view.getUint16(checksumAt), view.getUint16(at), value));
  view.setUint16(at, value);
}

/** Stores a 32-bit word at `at`, and updates the checksum at `checksumAt` that covers it. */
export function replaceUint32(view: DataView, at: number, value: number, checksumAt: number): void {
  view.setUint16(checksumAt, updateChecksum32(view.getUint16(checksumAt), view.getUint32(at), value));
  view.setUint32(at, value);
}
