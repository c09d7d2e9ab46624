/**
 * Which cryptographic library this host has.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../../errors.ts";
import { libcryptoProvider } from "./libcrypto.ts";
import { type CryptoProvider, KEY, type ProviderName, PROVIDERS } from "../provider.ts";
import { wipe } from "../wipe.ts";

/** How each one is loaded: node:crypto only when it is wanted, as its import is slow. */
const LOAD: Readonly<Record<ProviderName, () => CryptoProvider | Promise<CryptoProvider>>> = {
  libcrypto: libcryptoProvider,
  "node:crypto": async () => (await import("./node.ts")).nodeProvider(),
};

let chosen: Promise<CryptoProvider> | undefined;

/**
 * The fastest provider that works here: libcrypto, else node:crypto. It is looked for once.
 *
 * @throws {OperatorError} where there is none
 */
export function chooseProvider(): Promise<CryptoProvider> {
  return chosen ??= findProvider();
}

/**
 * The first of some providers that works here.
 *
 * @param names in the order in which they are tried
 * @throws {OperatorError} where none does
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
    `nothing here can seal: ${names.join(" and ")} cannot be used`,
    "install libssl3",
    ExitCode.hostLacks,
    { cause: new AggregateError(causes) },
  );
}

/**
 * Does once what a handshake and a cell need. A library that loads may still refuse: in FIPS mode OpenSSL has neither
 * X25519 nor ChaCha20-Poly1305.
 *
 * @throws where it does
 */
function tryOut(provider: CryptoProvider): void {
  const { privateKey, publicKey } = provider.generateKeyPair();
  const secret = provider.sharedSecret(privateKey, publicKey) ?? new Uint8Array(KEY);
  using aead = provider.aead(provider.hmacSha256(secret, publicKey));
  const bytes = provider.sha256(publicKey);
  aead.seal(bytes, 0, 0, 0, publicKey);
  wipe(privateKey, secret);
}
