/**
 * Changes to the host: each is the command that makes it and the command that undoes it.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { type Command, execute, executeBatch, isOfIp } from "./execute.ts";
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
 * @param over when it aborts, what has begun is finished, and nothing else begun
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
        () => commands.every(isOfIp) ? executeBatch(commands) : execute(commands[0]!),
      );
    } catch (error) {
      // An optional change is made by itself.
      const [first] = together;
      if (!first?.isOptional || !(error instanceof OperatorError)) throw error;
      notMade.push({ what: first.what, error: error.message });
    }
  }
  return notMade;
}

/** Changes that one process can make one after the other, and those that are made by themselves. */
function batches(changes: readonly Change[]): Change[][] {
  const batches: Change[][] = [];
  let open = false;
  for (const change of changes) {
    const isPart = isOfIp(change.make) && !change.isOptional;
    if (open && isPart) batches.at(-1)!.push(change);
    else batches.push([change]);
    open = isPart;
  }
  return batches;
}
