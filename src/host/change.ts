/**
 * Changes to the host: each is the command that makes it and the command that undoes it.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { unlessAborted } from "../sys/abort.ts";
import { sleep } from "../sys/timer.ts";
import { directly } from "./direct.ts";
import { BatchError, type Command, execute, executeBatch, isOfIp } from "./execute.ts";
import type { Journal } from "./journal.ts";
import type { NeededRoute } from "./routes.ts";

/** Something that a run needs to be so on the host. */
export interface Change {
  /** What is changed, in a few words. Two changes that say the same are the same. */
  readonly what: string;
  /** Whether it is so already: then it is used, and left alone. */
  readonly isThere: boolean;
  readonly make: Command;
  readonly undo: Command;
  /** Whether the kernel undoes it when the TUN interface goes. */
  readonly goesWithTun?: boolean;
  /** Whether a run does without it where it cannot be made, or where another run that has made it undoes it. */
  readonly isOptional?: boolean;
  /** For a route: how to see later on whether it is still there. */
  readonly route?: NeededRoute;
}

/** A change that was not made. */
export interface NotMade {
  readonly what: string;
  /** Why. */
  readonly error: string;
}

/**
 * Makes changes in order, each written down before.
 *
 * @param tunStays whether the TUN interface outlives us; else what goes with it needs no writing down
 * @param over when it aborts, nothing else is begun. What has begun is finished, or is cut short by the same Ctrl+C: it has been
 *   written down before, and undoing finds out how far it got
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
  for (const together of batches(changes)) {
    over?.throwIfAborted();
    const commands = together.map(({ make }) => make);
    try {
      await journal.change(
        together.map(entryOf),
        () =>
          commands.length > 1 && commands.every(isOfIp)
            ? executeBatch(commands, true)
            : execute(commands[0]!),
      );
    } catch (error) {
      if (over !== undefined && error instanceof BatchError && error.signal !== null) {
        await unlessAborted(sleep(SAME_SIGNAL), over);
      }
      // An optional change is made by itself.
      const [first] = together;
      if (!first?.isOptional || !(error instanceof OperatorError)) throw error;
      notMade.push({ what: first.what, error: error.message });
    }
  }
  return notMade;
}

/** Milliseconds in which a signal that has ended `ip` is expected to end us too: it may have been meant for all of us. */
const SAME_SIGNAL = 300;

/** Changes that one process can make one after the other, and those that are made by themselves. */
function batches(changes: readonly Change[]): Change[][] {
  const batches: Change[][] = [];
  let open = false;
  for (const change of changes) {
    const isPart = isOfIp(change.make) && directly(change.make) === undefined && !change.isOptional;
    if (open && isPart) batches.at(-1)!.push(change);
    else batches.push([change]);
    open = isPart;
  }
  return batches;
}
