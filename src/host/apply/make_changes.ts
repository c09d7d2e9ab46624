/**
 * Makes the changes of a plan, each one after the journal has recorded it.
 *
 * @module
 */
import { OperatorError } from "../../errors.ts";
import { unlessAborted } from "../../sys/abort.ts";
import { sleep } from "../../sys/timer.ts";
import type { Change } from "../plan/change.ts";
import { carryOutTogether } from "./actions.ts";
import type { Journal } from "./journal.ts";
import type { Entry } from "./journal_file.ts";
import { BatchError, ipCommand } from "./programs.ts";

/** An optional change that could not be made. */
interface NotMade {
  readonly what: string;
  /** The reason. */
  readonly error: string;
}

/**
 * Milliseconds to wait for a signal of our own after one has ended `ip`: Ctrl+C reaches the whole
 * process group.
 */
const SAME_SIGNAL = 300;

/**
 * Makes changes in order. The journal records each before it is made.
 *
 * @param tunStays whether the TUN interface outlives the run; if not, the kernel undoes what goes
 *   with it
 * @param over once it aborts, no further change begins. A change that has begun is completed, or
 *   cut short by the same Ctrl+C; it is in the journal, and undoing finds out how far it got
 * @returns the optional changes that could not be made
 * @throws the reason of the abort
 */
export async function makeChanges(
  changes: readonly Change[],
  journal: Journal,
  tunStays: boolean,
  over?: AbortSignal,
): Promise<NotMade[]> {
  const notMade: NotMade[] = [];
  for (const batch of batches(changes)) {
    over?.throwIfAborted();
    try {
      const actions = batch.map(({ make }) => make);
      await journal.change(
        batch.map((change) => entryOf(change, tunStays)),
        () => carryOutTogether(actions, { mayBeCutShort: true }),
      );
    } catch (error) {
      if (over !== undefined && error instanceof BatchError && error.signal !== null) {
        await unlessAborted(sleep(SAME_SIGNAL), over);
      }
      // An optional change is made by itself.
      const [first] = batch;
      if (!first?.isOptional || !(error instanceof OperatorError)) throw error;
      notMade.push({ what: first.what, error: error.message });
    }
  }
  return notMade;
}

/**
 * The journal's entry for a change; undefined if the kernel undoes it.
 *
 * @param tunStays whether the TUN interface outlives the run
 */
export function entryOf(
  { what, undo, goesWithTun = false, keepsClosed = false }: Change,
  tunStays = true,
): Entry | undefined {
  return goesWithTun && !tunStays ? undefined : { change: what, undo, ...(keepsClosed && { keepsClosed }) };
}

/**
 * Groups the changes that one `ip` process can make together. Every other change is made by itself.
 */
function batches(changes: readonly Change[]): Change[][] {
  const batches: Change[][] = [];
  let isOpen = false;
  for (const change of changes) {
    const isPart = ipCommand(change.make) !== undefined && !change.isOptional;
    if (isOpen && isPart) batches.at(-1)!.push(change);
    else batches.push([change]);
    isOpen = isPart;
  }
  return batches;
}
