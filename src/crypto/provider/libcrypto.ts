/**
 * The provider that calls OpenSSL's libcrypto through FFI: the fast one.
 *
 * @module
 */
import {
  checkDone,
  checkMade,
  type Libcrypto,
  libcrypto,
  libcryptoVersion,
  type Pointer,
} from "../../sys/libcrypto.ts";
import { cStruct, fieldsOf, LastPointer, pointerTo } from "../../sys/pointer.ts";
import { checkKey, checkRange, NONCE, writeCounter } from "../aead.ts";
import { type Aead, type Bytes, type CryptoProvider, HASH, KEY, type KeyPair, TAG } from "../provider.ts";

/** Commands of EVP_CIPHER_CTX_ctrl, from `<openssl/evp.h>`. */
const EVP_CTRL_AEAD_GET_TAG = 0x10;
const EVP_CTRL_AEAD_SET_TAG = 0x11;

/** NID_X25519 of `<openssl/obj_mac.h>`, which is also EVP_PKEY_X25519. */
const X25519 = 1034;

/** Values of the argument `enc` of EVP_CipherInit_ex2. */
const Direction = { open: 0, seal: 1 } as const;

/** Packets start below this offset in their buffers. */
const MAX_START = 256;

// Calls are synchronous, so all keys of a thread share these buffers. They hold nothing secret.
const nonce = cStruct(NONCE);
const nonceView = fieldsOf(nonce);
const noncePointer = pointerTo(nonce);
const tag = cStruct(TAG);
const tagPointer = pointerTo(tag);
/** The library stores the number of written bytes here. It always equals the input. */
const written = cStruct(Int32Array.BYTES_PER_ELEMENT);
const writtenPointer = pointerTo(written);

/**
 * Loads libcrypto and returns its provider.
 *
 * @throws if libcrypto cannot be loaded
 */
export function libcryptoProvider(): CryptoProvider {
  return new LibcryptoProvider(libcrypto());
}

class LibcryptoProvider implements CryptoProvider {
  readonly name = "libcrypto";
  readonly version = libcryptoVersion();
  readonly #library: Libcrypto;

  constructor(library: Libcrypto) {
    this.#library = library;
  }

  aead(key: Bytes): Aead {
    return new LibcryptoAead(this.#library, key);
  }

  generateKeyPair(): KeyPair {
    const privateKey = new Uint8Array(KEY);
    checkDone(this.#library.RAND_priv_bytes(privateKey, KEY), "Cannot make a key", "RAND_priv_bytes");
    return { privateKey, publicKey: this.publicKeyOf(privateKey) };
  }

  publicKeyOf(privateKey: Bytes): Bytes {
    using made = new DisposableStack();
    const key = this.#key("EVP_PKEY_new_raw_private_key", privateKey, "Cannot take a private key", made);
    const publicKey = new Uint8Array(KEY);
    const result = this.#library.EVP_PKEY_get_raw_public_key(key, publicKey, sizeOf(publicKey));
    checkDone(result, "Cannot find a public key", "EVP_PKEY_get_raw_public_key");
    return publicKey;
  }

  sharedSecret(privateKey: Bytes, publicKey: Bytes): Bytes | undefined {
    const doing = "Cannot agree on a key";
    const library = this.#library;
    using made = new DisposableStack();
    const mine = this.#key("EVP_PKEY_new_raw_private_key", privateKey, doing, made);
    const theirs = this.#key("EVP_PKEY_new_raw_public_key", publicKey, doing, made);
    const context = made.adopt(
      checkMade(library.EVP_PKEY_CTX_new(mine, null), doing, "EVP_PKEY_CTX_new"),
      library.EVP_PKEY_CTX_free,
    );
    checkDone(library.EVP_PKEY_derive_init(context), doing, "EVP_PKEY_derive_init");
    checkDone(library.EVP_PKEY_derive_set_peer(context, theirs), doing, "EVP_PKEY_derive_set_peer");
    const secret = new Uint8Array(KEY);
    if (library.EVP_PKEY_derive(context, secret, sizeOf(secret)) === 1) return secret;
    // After these checks, only a zero secret can fail. The library also queues an error for it.
    library.ERR_clear_error();
    return undefined;
  }

  sha256(data: Bytes): Bytes {
    const hash = new Uint8Array(HASH);
    const { EVP_Digest, EVP_sha256 } = this.#library;
    checkDone(EVP_Digest(data, data.length, hash, null, EVP_sha256(), null), "Cannot hash", "EVP_Digest");
    return hash;
  }

  hmacSha256(key: Bytes, data: Bytes): Bytes {
    const hash = new Uint8Array(HASH);
    const { HMAC, EVP_sha256 } = this.#library;
    // An empty array has no address, and HMAC takes NULL for the previous key. A zero byte is equal
    // to an empty key, because HMAC pads keys with zeros.
    if (key.length === 0) key = new Uint8Array(1);
    checkMade(HMAC(EVP_sha256(), key, key.length, data, data.length, hash, null), "Cannot hash", "HMAC");
    return hash;
  }

  /** Makes the library's object for a key. `made` frees it. */
  #key(
    call: "EVP_PKEY_new_raw_private_key" | "EVP_PKEY_new_raw_public_key",
    bytes: Bytes,
    doing: string,
    made: DisposableStack,
  ): Pointer {
    checkKey(bytes);
    const key = this.#library[call](X25519, null, bytes, bytes.length);
    return made.adopt(checkMade(key, doing, call), this.#library.EVP_PKEY_free);
  }
}

/** A `size_t` with the length of an array. */
function sizeOf({ length }: Uint8Array): Bytes {
  return new Uint8Array(BigUint64Array.of(BigInt(length)).buffer);
}

/** One key in a context that is set up once. A packet then needs a new nonce, but no memory. */
class LibcryptoAead implements Aead {
  readonly #library: Libcrypto;
  /** Undefined once the key has been wiped. */
  #context: Pointer | undefined;
  readonly #additional = new LastPointer();

  constructor(library: Libcrypto, key: Bytes) {
    checkKey(key);
    const doing = "Cannot set up ChaCha20-Poly1305";
    this.#library = library;
    const context = checkMade(library.EVP_CIPHER_CTX_new(), doing, "EVP_CIPHER_CTX_new");
    try {
      const cipher = library.EVP_chacha20_poly1305();
      const result = library.EVP_CipherInit_ex2(context, cipher, pointerTo(key), null, Direction.seal, null);
      checkDone(result, doing, "EVP_CipherInit_ex2");
    } catch (error) {
      library.EVP_CIPHER_CTX_free(context);
      throw error;
    }
    this.#context = context;
  }

  seal(bytes: Bytes, start: number, end: number, counter: number, additional: Bytes): void {
    checkRange(bytes, start, end + TAG, counter);
    const doing = "Cannot seal";
    const library = this.#library;
    const context = this.#begin(Direction.seal, counter, additional, doing);
    this.#pass(context, bytes, start, end, doing);
    checkDone(library.EVP_CipherFinal_ex(context, tagPointer, writtenPointer), doing, "EVP_CipherFinal_ex");
    const result = library.EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, tagPointer);
    checkDone(result, doing, "EVP_CIPHER_CTX_ctrl");
    bytes.set(tag, end);
  }

  open(bytes: Bytes, start: number, end: number, counter: number, additional: Bytes): boolean {
    checkRange(bytes, start, end, counter);
    const doing = "Cannot open a sealed message";
    const library = this.#library;
    const text = end - TAG;
    const context = this.#begin(Direction.open, counter, additional, doing);
    for (let at = 0; at < TAG; at++) tag[at] = bytes[text + at]!;
    const result = library.EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, tagPointer);
    checkDone(result, doing, "EVP_CIPHER_CTX_ctrl");
    this.#pass(context, bytes, start, text, doing);
    return library.EVP_CipherFinal_ex(context, tagPointer, writtenPointer) === 1;
  }

  [Symbol.dispose](): void {
    if (this.#context === undefined) return;
    this.#library.EVP_CIPHER_CTX_free(this.#context);
    this.#context = undefined;
  }

  /** Sets the direction, the nonce, and the additional data of a message. */
  #begin(direction: 0 | 1, counter: number, additional: Bytes, doing: string): Pointer {
    const library = this.#library;
    const context = this.#context;
    if (context === undefined) throw new TypeError("the key has been wiped");
    writeCounter(nonceView, counter);
    const begun = library.EVP_CipherInit_ex2(context, null, null, noncePointer, direction, null);
    checkDone(begun, doing, "EVP_CipherInit_ex2");
    const from = this.#additional.to(additional);
    const added = library.EVP_CipherUpdate(context, null, writtenPointer, from, additional.length);
    checkDone(added, doing, "EVP_CipherUpdate");
    return context;
  }

  /** Encrypts or decrypts `bytes[start, end)` in place. */
  #pass(context: Pointer, bytes: Bytes, start: number, end: number, doing: string): void {
    const from = pointerInto(bytes, start);
    const passed = this.#library.EVP_CipherUpdate(context, from, writtenPointer, from, end - start);
    checkDone(passed, doing, "EVP_CipherUpdate");
  }
}

const pointers = new WeakMap<Uint8Array, Pointer[]>();

/**
 * Returns a pointer to `bytes[start]`. Packets start at few offsets of few buffers, so the pointers
 * are kept.
 */
function pointerInto(bytes: Bytes, start: number): Pointer {
  if (start >= MAX_START) return pointerTo(bytes.subarray(start));
  let known = pointers.get(bytes);
  if (known === undefined) pointers.set(bytes, known = []);
  return known[start] ??= pointerTo(bytes.subarray(start));
}
