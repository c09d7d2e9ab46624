/**
 * A provider around another one that remembers all secrets, so that tests can prove that none leaks
 * and all are wiped.
 *
 * @module
 */
import type { Aead, CryptoProvider, KeyPair } from "../../src/crypto/provider.ts";

/** An opened text. */
interface Opened {
  readonly counter: number;
  readonly text: Uint8Array;
}

/** A watched provider. */
export class Witness implements CryptoProvider {
  readonly name;
  readonly version;
  readonly #inner: CryptoProvider;
  /** Private keys, shared secrets of X25519, and the keys of every {@linkcode Aead}. */
  readonly secrets: Uint8Array[] = [];
  /** The opened texts; a test may empty the list. */
  opened: Opened[] = [];
  /** Keys that have not been wiped. */
  alive = 0;
  /** The arrays that held secrets, returned or received. */
  readonly #handedOut: Uint8Array[] = [];

  constructor(inner: CryptoProvider) {
    this.#inner = inner;
    this.name = inner.name;
    this.version = inner.version;
  }

  /** Private keys, shared secrets and keys whose arrays were not wiped by their owner. */
  get unwiped(): number {
    return this.#handedOut.filter((bytes) => bytes.some((byte) => byte !== 0)).length;
  }

  aead(key: Uint8Array<ArrayBuffer>): Aead {
    this.#keep(key);
    this.alive++;
    const aead = this.#inner.aead(key);
    let isWiped = false;
    return {
      seal: (bytes, start, end, counter, additional) => aead.seal(bytes, start, end, counter, additional),
      open: (bytes, start, end, counter, additional) => {
        const isAuthentic = aead.open(bytes, start, end, counter, additional);
        if (isAuthentic) this.opened.push({ counter, text: bytes.slice(start, end - 16) });
        return isAuthentic;
      },
      [Symbol.dispose]: () => {
        if (!isWiped) this.alive--;
        isWiped = true;
        aead[Symbol.dispose]();
      },
    };
  }

  generateKeyPair(): KeyPair {
    const pair = this.#inner.generateKeyPair();
    this.#keep(pair.privateKey);
    return pair;
  }

  publicKeyOf(privateKey: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    return this.#inner.publicKeyOf(privateKey);
  }

  sharedSecret(
    privateKey: Uint8Array<ArrayBuffer>,
    publicKey: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> | undefined {
    const secret = this.#inner.sharedSecret(privateKey, publicKey);
    if (secret !== undefined) this.#keep(secret);
    return secret;
  }

  sha256(data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    return this.#inner.sha256(data);
  }

  hmacSha256(key: Uint8Array<ArrayBuffer>, data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    return this.#inner.hmacSha256(key, data);
  }

  #keep(secret: Uint8Array): void {
    this.secrets.push(secret.slice());
    this.#handedOut.push(secret);
  }
}
