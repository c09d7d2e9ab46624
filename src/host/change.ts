/**
 * Changes to the host: each is the command that makes it and the command that undoes it.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { type Command, execute, executeBatch, type IpCommand } from "./execute.ts";
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
  const goes = ({ goesWithTun = false }: Change) => goesWithTun && !tunStays;
  // Those of the interface itself come first, and need no line each.
  const others = changes.findIndex((change) => !goes(change) || change.isOptional || !isOfIp(change.make));
  const together = changes.slice(0, others < 0 ? changes.length : others);
  over?.throwIfAborted();
  await executeBatch(together.map(({ make }) => make).filter(isOfIp));
  for (const change of changes.slice(together.length)) {
    over?.throwIfAborted();
    try {
      if (goes(change)) await execute(change.make);
      else await journal.change({ change: change.what, undo: change.undo }, () => execute(change.make));
    } catch (error) {
      if (!change.isOptional || !(error instanceof OperatorError)) throw error;
      notMade.push({ what: change.what, error: error.message });
    }
  }
  return notMade;
}

function isOfIp(command: Command): command is IpCommand {
  return command[0] === "ip";
}
