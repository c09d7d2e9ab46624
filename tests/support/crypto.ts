/**
 * The cryptographic providers of this machine, loaded before any test begins: a library stays
 * loaded, and the test that loaded it would be blamed for that.
 *
 * @module
 */
import { findProvider } from "../../src/crypto/provider/choose.ts";
import {
  type CryptoProvider,
  type KeyPair,
  type ProviderName,
  PROVIDERS,
} from "../../src/crypto/provider.ts";
import { hex } from "./packets.ts";

const LOADED: ReadonlyMap<ProviderName, CryptoProvider | undefined> = new Map(
  await Promise.all(PROVIDERS.map(async (name) => {
    return [name, await findProvider([name]).catch(() => undefined)] as const;
  })),
);

/** The providers of this machine: one at least. */
export const AVAILABLE: readonly CryptoProvider[] = [...LOADED.values()].filter((each) => each !== undefined);

/** For tests of what is built on providers, and is the same over each. */
export const PROVIDER: CryptoProvider = AVAILABLE[0]!;

/**
 * The same test for each provider, ignored with the reason behind its name where one is missing.
 */
export function testEach(name: string, fn: (provider: CryptoProvider) => void): void {
  for (const [each, provider] of LOADED) {
    if (provider === undefined) Deno.test.ignore(`${each}: ${name} (needs ${each})`, () => {});
    else Deno.test(`${each}: ${name}`, () => fn(provider));
  }
}

/** The key pair of a private key in hex. */
export function keyPair(provider: CryptoProvider, privateKey: string): KeyPair {
  return { privateKey: hex(privateKey), publicKey: provider.publicKeyOf(hex(privateKey)) };
}

/** The same bytes with one bit flipped. */
export function flip(bytes: Uint8Array, bit: number): Uint8Array<ArrayBuffer> {
  const flipped = new Uint8Array(bytes);
  flipped[bit >>> 3]! ^= 1 << (bit & 7);
  return flipped;
}
