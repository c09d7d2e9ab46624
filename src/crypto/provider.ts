/**
 * The interface to a cryptographic library. All calls are synchronous, because the packet thread
 * blocks in `poll`.
 *
 * @module
 */

/** Bytes in memory of their own, which libraries in C can use in place. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes of a ChaCha20-Poly1305 key (RFC 8439 §2.8), and of an X25519 key (RFC 7748 §5). */
export const KEY = 32;

/** Bytes of an authentication tag (RFC 8439 §2.8). */
export const TAG = 16;

/** Bytes of a SHA-256 hash. */
export const HASH = 32;

/** The names of the libraries, fastest first. */
export const PROVIDERS = ["libcrypto", "node:crypto"] as const;

/** One of {@linkcode PROVIDERS}. */
export type ProviderName = (typeof PROVIDERS)[number];

/**
 * ChaCha20-Poly1305 (RFC 8439 §2.8) with one key. The nonce is four zero bytes and a counter of 64
 * bits, little-endian (Noise rev. 34 §12.3). Never seal with one counter twice.
 */
export interface Aead extends Disposable {
  /**
   * Seals `bytes[start, end)` in place, and writes the tag to `bytes[end, end + TAG)`.
   *
   * @param counter an integer from 0 to 2^53 - 1
   * @param additional data that is authenticated but not sent
   * @throws {RangeError} if the tag does not fit; then nothing has been written
   */
  seal(bytes: Bytes, start: number, end: number, counter: number, additional: Bytes): void;

  /**
   * Opens `bytes[start, end)` in place. Its last bytes are the tag, which does not change.
   *
   * @returns whether the message is authentic; if not, the bytes are garbage
   */
  open(bytes: Bytes, start: number, end: number, counter: number, additional: Bytes): boolean;

  /** Wipes the key, and frees memory that the garbage collector does not manage. */
  [Symbol.dispose](): void;
}

/** An X25519 key pair (RFC 7748 §6.1). */
export interface KeyPair {
  /** {@linkcode KEY} bytes. */
  readonly privateKey: Bytes;
  /** {@linkcode KEY} bytes. */
  readonly publicKey: Bytes;
}

/**
 * A cryptographic library. It neither keeps nor changes its arguments. Results belong to the
 * caller.
 */
export interface CryptoProvider {
  /** The name of the library. */
  readonly name: ProviderName;
  /** The version of the implementation, for people. */
  readonly version: string;

  /** Returns ChaCha20-Poly1305 with a copy of `key`, {@linkcode KEY} bytes. */
  aead(key: Bytes): Aead;

  /** Makes an X25519 key pair. */
  generateKeyPair(): KeyPair;

  /** Returns the public key for a private key. */
  publicKeyOf(privateKey: Bytes): Bytes;

  /**
   * Returns the X25519 secret of two keys, {@linkcode KEY} bytes.
   *
   * @returns undefined if the secret is zero (RFC 7748 §6.1)
   */
  sharedSecret(privateKey: Bytes, publicKey: Bytes): Bytes | undefined;

  /** SHA-256 (FIPS 180-4), {@linkcode HASH} bytes. */
  sha256(data: Bytes): Bytes;

  /** HMAC (RFC 2104) with SHA-256, {@linkcode HASH} bytes. */
  hmacSha256(key: Bytes, data: Bytes): Bytes;
}
