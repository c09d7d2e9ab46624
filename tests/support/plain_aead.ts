/**
 * ChaCha20-Poly1305 as in RFC 8439, slow and plain: a reference for the libraries that also takes
 * the nonces of the RFC's examples. Nothing in `src` uses it.
 *
 * @module
 */
import { concat } from "./packets.ts";

/** Ciphertext and tag (§2.8). */
export function sealPlainly(
  key: Uint8Array,
  nonce: Uint8Array,
  additional: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const ciphertext = chacha20(key, 1, nonce, plaintext);
  const oneTimeKey = chacha20(key, 0, nonce, new Uint8Array(32));
  const lengths = new Uint8Array(16);
  const view = new DataView(lengths.buffer);
  view.setUint32(0, additional.length, true);
  view.setUint32(8, ciphertext.length, true);
  const tag = poly1305(oneTimeKey, concat(pad16(additional), pad16(ciphertext), lengths));
  return concat(ciphertext, tag);
}

/** The nonce of a counter: four zero bytes, then 64 bits, little-endian. */
export function nonceOf(counter: number): Uint8Array<ArrayBuffer> {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(counter), true);
  return nonce;
}

/** §2.4 */
function chacha20(key: Uint8Array, counter: number, nonce: Uint8Array, text: Uint8Array): Uint8Array {
  return text.map((byte, at) => byte ^ block(key, counter + Math.floor(at / 64), nonce)[at % 64]!);
}

/** §2.3 */
function block(key: Uint8Array, counter: number, nonce: Uint8Array): Uint8Array {
  const constants = new TextEncoder().encode("expand 32-byte k");
  const counterBytes = new Uint8Array(Uint32Array.of(counter).buffer);
  const start = new Uint32Array(concat(constants, key, counterBytes, nonce).buffer);
  const state = start.slice();
  for (let round = 0; round < 10; round++) {
    for (let column = 0; column < 4; column++) {
      quarterRound(state, column, column + 4, column + 8, column + 12);
    }
    for (let column = 0; column < 4; column++) {
      quarterRound(state, column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4);
    }
  }
  return new Uint8Array(state.map((word, at) => word + start[at]!).buffer);
}

/** §2.1 */
function quarterRound(state: Uint32Array, a: number, b: number, c: number, d: number): void {
  for (const [to, from, mixed, turn] of [[a, b, d, 16], [c, d, b, 12], [a, b, d, 8], [c, d, b, 7]] as const) {
    state[to]! += state[from]!;
    const word = state[mixed]! ^ state[to]!;
    state[mixed] = word << turn | word >>> (32 - turn);
  }
}

/** §2.5 */
function poly1305(key: Uint8Array, message: Uint8Array): Uint8Array<ArrayBuffer> {
  const r = number(key.subarray(0, 16)) & 0x0ffffffc_0ffffffc_0ffffffc_0fffffffn;
  let sum = 0n;
  for (let at = 0; at < message.length; at += 16) {
    sum = (sum + number(concat(message.subarray(at, at + 16), Uint8Array.of(1)))) * r % (2n ** 130n - 5n);
  }
  sum += number(key.subarray(16));
  return Uint8Array.from({ length: 16 }, (_, at) => Number(sum >> BigInt(8 * at) & 0xffn));
}

/** Bytes as a number, little-endian. */
function number(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => sum << 8n | BigInt(byte), 0n);
}

/** Pads with zeros to a multiple of 16 bytes. */
function pad16(bytes: Uint8Array): Uint8Array {
  return concat(bytes, new Uint8Array((16 - bytes.length % 16) % 16));
}
