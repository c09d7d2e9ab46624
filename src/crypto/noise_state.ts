/**
 * The inner objects of the Noise Protocol Framework, revision 34 §5.1 and §5.2, under the names of
 * the specification. A `CipherState` seals with one key and counts. A `SymmetricState` mixes the
 * data that both ends know into keys and a hash. The functions are X25519, ChaCha20-Poly1305 and
 * SHA-256 (§12).
 *
 * @module
 */
import { concat } from "../buffer/bytes.ts";
import { type Bytes, type CryptoProvider, TAG } from "./provider.ts";
import { wipe } from "./wipe.ts";

/** An empty array. */
export const NOTHING: Bytes = new Uint8Array();

/**
 * A key and its nonce (§5.1). The key always exists, because NK sends nothing before its first key.
 */
class CipherState implements Disposable {
  readonly #provider: CryptoProvider;
  readonly #key: Bytes;
  #nonce: number;

  /** @param key belongs to this object from now on */
  constructor(provider: CryptoProvider, key: Bytes, nonce = 0) {
    this.#provider = provider;
    this.#key = key;
    this.#nonce = nonce;
  }

  /** `EncryptWithAd(ad, plaintext)` */
  encryptWithAd(ad: Bytes, plaintext: Uint8Array): Bytes {
    const bytes = new Uint8Array(plaintext.length + TAG);
    bytes.set(plaintext);
    using aead = this.#provider.aead(this.#key);
    aead.seal(bytes, 0, plaintext.length, this.#nonce++, ad);
    return bytes;
  }

  /**
   * `DecryptWithAd(ad, ciphertext)`. Returns undefined, and changes nothing, if it is not
   * authentic.
   */
  decryptWithAd(ad: Bytes, ciphertext: Uint8Array): Bytes | undefined {
    if (ciphertext.length < TAG) return undefined;
    const bytes = new Uint8Array(ciphertext);
    using aead = this.#provider.aead(this.#key);
    if (!aead.open(bytes, 0, bytes.length, this.#nonce, ad)) return undefined;
    this.#nonce++;
    return bytes.slice(0, -TAG);
  }

  /** An independent copy of the current state. */
  clone(): CipherState {
    return new CipherState(this.#provider, this.#key.slice(), this.#nonce);
  }

  /** Wipes the key. */
  [Symbol.dispose](): void {
    wipe(this.#key);
  }
}

/** A chaining key `ck`, a hash `h` of all data so far, and a cipher once there is a key (§5.2). */
export class SymmetricState implements Disposable {
  readonly #provider: CryptoProvider;
  #chainingKey: Bytes;
  #hash: Bytes;
  #cipher: CipherState | undefined;

  /**
   * `InitializeSymmetric(protocol_name)`. The name must have the length of a hash, so it is used
   * unhashed.
   */
  constructor(provider: CryptoProvider, protocolName: Bytes) {
    this.#provider = provider;
    this.#chainingKey = protocolName.slice();
    this.#hash = protocolName.slice();
  }

  /** `GetHandshakeHash()`: equal at both ends, and unique. */
  get handshakeHash(): Bytes {
    return this.#hash.slice();
  }

  /** `MixKey(input_key_material)` */
  mixKey(material: Bytes): void {
    const [chainingKey, key] = this.#hkdf(material);
    this[Symbol.dispose]();
    this.#chainingKey = chainingKey;
    this.#cipher = new CipherState(this.#provider, key);
  }

  /** `MixHash(data)` */
  mixHash(data: Uint8Array): void {
    this.#hash = this.#provider.sha256(concat(this.#hash, data));
  }

  /** `EncryptAndHash(plaintext)` */
  encryptAndHash(plaintext: Uint8Array): Bytes {
    const ciphertext = this.#keyed().encryptWithAd(this.#hash, plaintext);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /**
   * `DecryptAndHash(ciphertext)`. Returns undefined, and changes nothing, if it is not authentic.
   */
  decryptAndHash(ciphertext: Uint8Array): Bytes | undefined {
    const plaintext = this.#keyed().decryptWithAd(this.#hash, ciphertext);
    if (plaintext !== undefined) this.mixHash(ciphertext);
    return plaintext;
  }

  /** `Split()`: the keys for what the initiator sends, and for what the responder sends. */
  split(): [initiator: Bytes, responder: Bytes] {
    return this.#hkdf(NOTHING);
  }

  /** An independent copy of the current state. */
  clone(): SymmetricState {
    const copy = new SymmetricState(this.#provider, this.#hash);
    copy.#chainingKey = this.#chainingKey.slice();
    copy.#cipher = this.#cipher?.clone();
    return copy;
  }

  /** Wipes the keys. */
  [Symbol.dispose](): void {
    wipe(this.#chainingKey);
    this.#cipher?.[Symbol.dispose]();
  }

  /** `HKDF(chaining_key, input_key_material, 2)` (§4.3) */
  #hkdf(material: Bytes): [Bytes, Bytes] {
    const temporary = this.#provider.hmacSha256(this.#chainingKey, material);
    const first = this.#provider.hmacSha256(temporary, Uint8Array.of(1));
    const input = concat(first, Uint8Array.of(2));
    const second = this.#provider.hmacSha256(temporary, input);
    wipe(temporary, input);
    return [first, second];
  }

  #keyed(): CipherState {
    if (this.#cipher === undefined) throw new TypeError("there is no key yet");
    return this.#cipher;
  }
}
