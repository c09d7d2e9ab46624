/**
 * `onion down`: undoes what killed runs left on this host.
 *
 * @module
 */
import { ExitCode } from "../errors.ts";
import { requireJournals, undoLeftovers } from "../host/apply/journal.ts";

/** Undoes, and prints a line for each change. */
export async function down(): Promise<ExitCode> {
  requireJournals();
  const undone = await undoLeftovers();
  if (undone.length === 0) console.log("nothing to undo");
  for (const { change, outcome, reason } of undone) {
    if (outcome === "undone") console.log(`undone: ${change}`);
    if (outcome === "gone") console.log(`already gone: ${change}`);
    if (outcome === "failed") console.error(`onion: cannot undo: ${change}: ${reason}`);
  }
  return undone.some(({ outcome }) => outcome === "failed") ? ExitCode.failed : ExitCode.ok;
}
