/**
 * The cryptographic providers of this machine. They are loaded before any test begins, because the
 * sanitizer would blame the test that loads a library.
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

/** The providers of this machine, at least one. */
export const AVAILABLE: readonly CryptoProvider[] = [...LOADED.values()].filter((each) => each !== undefined);

/** A provider for tests that do not depend on which. */
export const PROVIDER: CryptoProvider = AVAILABLE[0]!;

/**
 * Defines a test for each provider. A missing provider's test is ignored, and its name says why.
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
