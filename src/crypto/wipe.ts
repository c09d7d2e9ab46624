/**
 * Wipes secrets from memory.
 *
 * @module
 */

/** Overwrites secrets. Copies that the garbage collector made earlier stay in memory. */
export function wipe(...secrets: readonly Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0);
}
