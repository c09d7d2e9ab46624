/**
 * `onion down`: undoes what dead runs left on this host, and so opens what they kept closed.
 *
 * @module
 */
import { ExitCode } from "../errors.ts";
import { type LiveRun, liveRuns, requireJournals, undoLeftovers } from "../host/apply/journal.ts";

/** Undoes, and prints a line for each change, and for each run that is still up. */
export async function down(): Promise<ExitCode> {
  requireJournals();
  const undone = await undoLeftovers();
  for (const run of liveRuns()) console.log(`left alone: ${describe(run)}`);
  if (undone.length === 0) console.log("nothing to undo");
  for (const { change, outcome, reason } of undone) {
    if (outcome === "undone") console.log(`undone: ${change}`);
    if (outcome === "gone") console.log(`already gone: ${change}`);
    if (outcome === "failed") console.error(`onion: cannot undo: ${change}: ${reason}`);
  }
  return undone.some(({ outcome }) => outcome === "failed") ? ExitCode.failed : ExitCode.ok;
}

function describe({ pid, isVisible }: LiveRun): string {
  if (isVisible) return `the run of process ${pid}, which is up`;
  return `the run of process ${pid}, which is up in another PID namespace, or is being taken over`;
}
