/**
 * What every implementation of {@linkcode Aead} does before it gets to work.
 *
 * @module
 */
import { KEY, TAG } from "./provider.ts";

/** Bytes of a nonce (RFC 8439 §2.3). */
export const NONCE = 12;

/** The 64-bit counter's offset in a nonce; the bytes before it are zero (Noise revision 34 §12.3). */
const COUNTER_AT = 4;

/** Writes a counter into a nonce. */
export function writeCounter(nonce: DataView<ArrayBuffer>, counter: number): void {
  writeUint64(nonce, COUNTER_AT, counter);
}

/** Writes a whole number, 0 to 2^53 - 1, as 64 bits, little-endian. */
export function writeUint64(view: DataView<ArrayBuffer>, at: number, number: number): void {
  // DataView takes the lower 32 bits of whatever it is given.
  view.setUint32(at, number, true);
  view.setUint32(at + 4, number / 2 ** 32, true);
}

/** Reads 64 bits, little-endian. Beyond 2^53 the number is only near what was written. */
export function readUint64(view: DataView<ArrayBuffer>, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

/**
 * Nothing, if sealed bytes may lie, or come to lie, in `bytes[start, end)`, their tag included. A foreign function
 * would not notice.
 *
 * @throws {RangeError}
 */
export function checkRange(bytes: Uint8Array, start: number, end: number, counter: number): void {
  if (!(start >= 0 && start + TAG <= end && end <= bytes.length)) {
    throw new RangeError(`${start} to ${end} is no place for a tag and more in ${bytes.length} bytes`);
  }
  if (!(Number.isSafeInteger(counter) && counter >= 0)) throw new RangeError(`no counter: ${counter}`);
}

/**
 * Nothing, if it is as long as a key.
 *
 * @throws {RangeError}
 */
export function checkKey(key: Uint8Array): void {
  if (key.length !== KEY) throw new RangeError(`a key has ${KEY} bytes, not ${key.length}`);
}
