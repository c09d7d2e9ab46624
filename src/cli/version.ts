/**
 * `onion --version`.
 *
 * @module
 */
import { executableKind, VERSION } from "../run/self.ts";

/** The version, what it runs on and how it was made, e.g. `onion 0.1.0 (Deno 2.9.6, deno compile)`. */
export function versionText(): string {
  return `onion ${VERSION} (Deno ${Deno.version.deno}, ${executableKind()})`;
}
