/**
 * Makes the changes of a plan, each one after the journal has recorded it.
 *
 * @module
 */
import { OperatorError } from "../../errors.ts";
import { unlessAborted } from "../../sys/abort.ts";
import { sleep } from "../../sys/timer.ts";
import type { Change } from "../plan/change.ts";
import { carryOut } from "./actions.ts";
import type { Journal } from "./journal.ts";
import { BatchError, executeBatch, type IpCommand, ipCommand } from "./programs.ts";

/** An optional change that could not be made. */
export interface NotMade {
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
  const entryOf = ({ what, undo, goesWithTun = false }: Change) =>
    goesWithTun && !tunStays ? undefined : { change: what, undo };
  for (const step of steps(changes)) {
    over?.throwIfAborted();
    try {
      await journal.change(step.changes.map(entryOf), () => make(step));
    } catch (error) {
      if (over !== undefined && error instanceof BatchError && error.signal !== null) {
        await unlessAborted(sleep(SAME_SIGNAL), over);
      }
      // An optional change is a step of its own.
      const [first] = step.changes;
      if (!first?.isOptional || !(error instanceof OperatorError)) throw error;
      notMade.push({ what: first.what, error: error.message });
    }
  }
  return notMade;
}

/** Changes that are made together: several by one `ip` process, or a single one. */
interface Step {
  readonly changes: Change[];
  /** The commands of a batch; empty for a change that is made by itself. */
  readonly batch: IpCommand[];
}

function steps(changes: readonly Change[]): Step[] {
  const steps: Step[] = [];
  for (const change of changes) {
    const words = change.isOptional ? undefined : ipCommand(change.make);
    const last = steps.at(-1);
    if (words !== undefined && last !== undefined && last.batch.length > 0) {
      last.changes.push(change);
      last.batch.push(words);
    } else steps.push({ changes: [change], batch: words === undefined ? [] : [words] });
  }
  return steps;
}

async function make({ changes, batch }: Step): Promise<void> {
  if (batch.length > 1) await executeBatch(batch, { mayBeCutShort: true });
  else await carryOut(changes[0]!.make);
}
