/**
 * `onion down`: undoes what dead runs left on this host, and says what that was.
 *
 * @module
 */
import { ExitCode } from "../errors.ts";
import { undoLeftovers } from "../host/journal.ts";

/** Undoes and says so, a line for each change. */
export async function down(): Promise<ExitCode> {
  const undone = await undoLeftovers();
  if (undone.length === 0) console.log("nothing to undo");
  for (const { change, failure } of undone) {
    // Most changes go with the TUN, and that goes with its process: what cannot be undone is mostly gone.
    console.log(failure === undefined ? `undone: ${change}` : `not there any more: ${change} (${failure})`);
  }
  return ExitCode.ok;
}
