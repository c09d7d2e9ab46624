/**
 * The provider that uses `node:crypto`, for hosts without libcrypto. It needs no installation, but
 * is several times slower. Import this module only on demand, because that takes tens of
 * milliseconds.
 *
 * @module
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
} from "node:crypto";
import { checkKey, checkRange, NONCE, writeCounter } from "../aead.ts";
import { type Aead, type Bytes, type CryptoProvider, KEY, type KeyPair, TAG } from "../provider.ts";
import { wipe } from "../wipe.ts";

const ALGORITHM = "chacha20-poly1305";
const OPTIONS = { authTagLength: TAG } as const;

/** The DER bytes before the 32 bytes of an X25519 key (RFC 8410 §4 and §7). */
const Prefix = {
  // SubjectPublicKeyInfo: the algorithm 1.3.101.110, a bit string.
  spki: Uint8Array.fromHex("302a300506032b656e032100"),
  // PrivateKeyInfo: version 0, the algorithm, an octet string in an octet string.
  pkcs8: Uint8Array.fromHex("302e020100300506032b656e04220420"),
} as const;

/** Returns the provider that uses `node:crypto`. */
export function nodeProvider(): CryptoProvider {
  return new NodeProvider();
}

class NodeProvider implements CryptoProvider {
  readonly name = "node:crypto";
  // Deno has its own implementation.
  readonly version = `Deno ${Deno.version.deno}`;

  aead(key: Bytes): Aead {
    return new NodeAead(key);
  }

  generateKeyPair(): KeyPair {
    const privateKey = crypto.getRandomValues(new Uint8Array(KEY));
    return { privateKey, publicKey: this.publicKeyOf(privateKey) };
  }

  publicKeyOf(privateKey: Bytes): Bytes {
    const spki = createPublicKey(privateKeyObject(privateKey)).export({ format: "der", type: "spki" });
    return own(spki.subarray(Prefix.spki.length));
  }

  sharedSecret(privateKey: Bytes, publicKey: Bytes): Bytes | undefined {
    const keys = { privateKey: privateKeyObject(privateKey), publicKey: publicKeyObject(publicKey) };
    try {
      return own(diffieHellman(keys));
    } catch {
      // Both keys are valid, so the secret is zero.
      return undefined;
    }
  }

  sha256(data: Bytes): Bytes {
    return own(createHash("sha256").update(data).digest());
  }

  hmacSha256(key: Bytes, data: Bytes): Bytes {
    return own(createHmac("sha256", key).update(data).digest());
  }
}

class NodeAead implements Aead {
  readonly #key: Bytes;
  readonly #nonce = new Uint8Array(NONCE);
  readonly #nonceView = new DataView(this.#nonce.buffer);
  #isWiped = false;

  constructor(key: Bytes) {
    checkKey(key);
    this.#key = key.slice();
  }

  seal(bytes: Bytes, start: number, end: number, counter: number, additional: Bytes): void {
    checkRange(bytes, start, end + TAG, counter);
    this.#begin(counter);
    const cipher = createCipheriv(ALGORITHM, this.#key, this.#nonce, OPTIONS);
    cipher.setAAD(additional, { plaintextLength: end - start });
    bytes.set(cipher.update(bytes.subarray(start, end)), start);
    cipher.final();
    bytes.set(cipher.getAuthTag(), end);
  }

  open(bytes: Bytes, start: number, end: number, counter: number, additional: Bytes): boolean {
    checkRange(bytes, start, end, counter);
    this.#begin(counter);
    const text = end - TAG;
    const decipher = createDecipheriv(ALGORITHM, this.#key, this.#nonce, OPTIONS);
    decipher.setAAD(additional, { plaintextLength: text - start });
    decipher.setAuthTag(bytes.subarray(text, end));
    bytes.set(decipher.update(bytes.subarray(start, text)), start);
    try {
      decipher.final();
      return true;
    } catch {
      return false;
    }
  }

  [Symbol.dispose](): void {
    wipe(this.#key);
    this.#isWiped = true;
  }

  #begin(counter: number): void {
    if (this.#isWiped) throw new TypeError("the key has been wiped");
    writeCounter(this.#nonceView, counter);
  }
}

function privateKeyObject(privateKey: Uint8Array): KeyObject {
  const key = der(Prefix.pkcs8, privateKey);
  const object = createPrivateKey({ key, format: "der", type: "pkcs8" });
  wipe(key);
  return object;
}

function publicKeyObject(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: der(Prefix.spki, publicKey), format: "der", type: "spki" });
}

function der(prefix: Uint8Array, key: Uint8Array): Buffer<ArrayBuffer> {
  checkKey(key);
  return Buffer.concat([prefix, key]);
}

/** Moves bytes to memory of their own, because small Buffers share theirs. */
function own(buffer: Uint8Array): Bytes {
  const bytes = new Uint8Array(buffer);
  wipe(buffer);
  return bytes;
}
