/**
 * Code that all implementations of {@linkcode Aead} share.
 *
 * @module
 */
import { KEY, TAG } from "./provider.ts";

/** Bytes of a nonce (RFC 8439 §2.3). */
export const NONCE = 12;

/** Offset of the 64-bit counter in a nonce. The bytes before it are zero (Noise rev. 34 §12.3). */
const COUNTER_AT = 4;

/** Writes a counter into a nonce. */
export function writeCounter(nonce: DataView<ArrayBuffer>, counter: number): void {
  writeUint64(nonce, COUNTER_AT, counter);
}

/** Writes an integer from 0 to 2^53 - 1 as 64 bits, little-endian. */
export function writeUint64(view: DataView<ArrayBuffer>, at: number, number: number): void {
  // A DataView takes the lower 32 bits of the number.
  view.setUint32(at, number, true);
  view.setUint32(at + 4, number / 2 ** 32, true);
}

/** Reads 64 bits, little-endian. The result is exact below 2^53, and approximate above. */
export function readUint64(view: DataView<ArrayBuffer>, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

/**
 * Checks the arguments of an AEAD call, because a foreign function would not.
 *
 * @throws {RangeError} if `bytes[start, end)` cannot hold a sealed message with its tag, or
 * `counter` is none
 */
export function checkRange(bytes: Uint8Array, start: number, end: number, counter: number): void {
  if (!(start >= 0 && start + TAG <= end && end <= bytes.length)) {
    throw new RangeError(`${start} to ${end} cannot hold a sealed message in ${bytes.length} bytes`);
  }
  if (!(Number.isSafeInteger(counter) && counter >= 0)) throw new RangeError(`not a counter: ${counter}`);
}

/**
 * Checks a key.
 *
 * @throws {RangeError} if its length is wrong
 */
export function checkKey(key: Uint8Array): void {
  if (key.length !== KEY) throw new RangeError(`a key has ${KEY} bytes, not ${key.length}`);
}
