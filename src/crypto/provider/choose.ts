/**
 * Chooses a cryptographic library.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../../errors.ts";
import { libcryptoProvider } from "./libcrypto.ts";
import { type CryptoProvider, KEY, type ProviderName, PROVIDERS } from "../provider.ts";
import { wipe } from "../wipe.ts";

/** Loads each library. node:crypto is imported only on demand, because that is slow. */
const LOAD: Readonly<Record<ProviderName, () => CryptoProvider | Promise<CryptoProvider>>> = {
  libcrypto: libcryptoProvider,
  "node:crypto": async () => (await import("./node.ts")).nodeProvider(),
};

let chosen: Promise<CryptoProvider> | undefined;

/**
 * Returns the fastest provider that works on this host. Searches once.
 *
 * @throws {OperatorError} if there is none
 */
export function chooseProvider(): Promise<CryptoProvider> {
  return chosen ??= findProvider();
}

/**
 * Returns the first provider of a list that works on this host.
 *
 * @param names the providers, in the order to try them
 * @throws {OperatorError} if none works
 */
export async function findProvider(names: readonly ProviderName[] = PROVIDERS): Promise<CryptoProvider> {
  const causes: unknown[] = [];
  for (const name of names) {
    try {
      const provider = await LOAD[name]();
      tryOut(provider);
      return provider;
    } catch (cause) {
      causes.push(cause);
    }
  }
  throw new OperatorError(
    `no cryptographic library works here: tried ${names.join(" and ")}`,
    "install libssl3",
    ExitCode.hostLacks,
    { cause: new AggregateError(causes) },
  );
}

/**
 * Runs the functions that handshakes and cells need. A library may load and still lack some: in
 * FIPS mode, OpenSSL has neither X25519 nor ChaCha20-Poly1305.
 *
 * @throws if one fails
 */
function tryOut(provider: CryptoProvider): void {
  const { privateKey, publicKey } = provider.generateKeyPair();
  const secret = provider.sharedSecret(privateKey, publicKey) ?? new Uint8Array(KEY);
  using aead = provider.aead(provider.hmacSha256(secret, publicKey));
  const bytes = provider.sha256(publicKey);
  aead.seal(bytes, 0, 0, 0, publicKey);
  wipe(privateKey, secret);
}
