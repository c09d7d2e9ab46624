/**
 * Forgetting secrets.
 *
 * @module
 */

/** Overwrites secrets that are no longer needed. What the garbage collector has copied before is out of reach. */
export function wipe(...secrets: readonly Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0);
}
