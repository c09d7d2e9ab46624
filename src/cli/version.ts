/**
 * `onion --version`.
 *
 * @module
 */
import { executableKind, VERSION } from "../run/self.ts";

/** Version, runtime and kind of executable, e.g. `onion 0.1.0 (Deno 2.9.6, deno compile)`. */
export function versionText(): string {
  return `onion ${VERSION} (Deno ${Deno.version.deno}, ${executableKind()})`;
}
