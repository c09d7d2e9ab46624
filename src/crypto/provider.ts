/**
 * What the onion needs of a cryptographic library. Everything is synchronous, because it runs in a thread that blocks
 * in `poll`.
 *
 * @module
 */

/** Bytes of a key: of ChaCha20-Poly1305 (RFC 8439 §2.8), and of X25519, private or public (RFC 7748 §5). */
export const KEY = 32;

/** Bytes of an authentication tag (RFC 8439 §2.8). */
export const TAG = 16;

/** Bytes of a SHA-256 hash. */
export const HASH = 32;

/** Names of the libraries that there may be, the faster one first. */
export const PROVIDERS = ["libcrypto", "node:crypto"] as const;

/** One of {@linkcode PROVIDERS}. */
export type ProviderName = (typeof PROVIDERS)[number];

/**
 * ChaCha20-Poly1305 (RFC 8439 §2.8) with one key. A counter stands for the nonce: four zero bytes, then the counter as
 * 64 bits, little-endian (Noise revision 34 §12.3). Under one key no counter may be sealed with twice.
 */
export interface Aead extends Disposable {
  /**
   * Seals `bytes[start, end)` in place, and writes the tag behind it, to `bytes[end, end + TAG)`.
   *
   * @param counter a whole number, 0 to 2^53 - 1
   * @param additional what is authenticated with it and not sent
   * @throws {RangeError} where the tag does not fit; nothing has been written then
   */
  seal(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    counter: number,
    additional: Uint8Array<ArrayBuffer>,
  ): void;

  /**
   * Opens `bytes[start, end)` in place, whose last bytes are the tag, which stays there.
   *
   * @returns whether it is authentic; where it is not, the bytes are garbage
   */
  open(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    counter: number,
    additional: Uint8Array<ArrayBuffer>,
  ): boolean;

  /** Wipes the key, and frees memory that the garbage collector knows nothing of: nobody else does. */
  [Symbol.dispose](): void;
}

/** A key pair of X25519 (RFC 7748 §6.1). */
export interface KeyPair {
  /** {@linkcode KEY} bytes. */
  readonly privateKey: Uint8Array<ArrayBuffer>;
  /** {@linkcode KEY} bytes. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
}

/** A cryptographic library. What it returns is the caller's own; what it is given it neither keeps nor changes. */
export interface CryptoProvider {
  /** Which one. */
  readonly name: ProviderName;
  /** The version of what does the work, for people to read. */
  readonly version: string;

  /** ChaCha20-Poly1305 with a copy of `key`, {@linkcode KEY} bytes. */
  aead(key: Uint8Array<ArrayBuffer>): Aead;

  /** A new key pair of X25519. */
  generateKeyPair(): KeyPair;

  /** The public key of a private one. */
  publicKeyOf(privateKey: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;

  /**
   * What both ends of X25519 arrive at, {@linkcode KEY} bytes.
   *
   * @returns undefined for a public key that leads every private one to zero (RFC 7748 §6.1)
   */
  sharedSecret(
    privateKey: Uint8Array<ArrayBuffer>,
    publicKey: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> | undefined;

  /** SHA-256 (FIPS 180-4), {@linkcode HASH} bytes. */
  sha256(data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;

  /** HMAC (RFC 2104) with SHA-256, {@linkcode HASH} bytes. */
  hmacSha256(key: Uint8Array<ArrayBuffer>, data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
}
