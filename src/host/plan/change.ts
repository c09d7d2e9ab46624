/**
 * A change to the host: the action that makes it and the action that undoes it.
 *
 * @module
 */
import type { Action, UndoAction } from "./action.ts";
import type { HostState } from "./state.ts";

/** Something that a run needs of the host. */
export interface Change {
  /** What is changed, in a few words. Two changes with the same words are the same change. */
  readonly what: string;
  /**
   * Whether the host is already like this. If so, the run uses what is there and leaves it alone.
   */
  readonly isThere: boolean;
  readonly make: Action;
  readonly undo: UndoAction;
  /** Whether the kernel undoes it when the TUN interface goes. */
  readonly goesWithTun?: boolean;
  /**
   * Whether it keeps captured packets from leaving in the clear. It stays when the run fails.
   */
  readonly keepsClosed?: boolean;
  /** Whether the run goes on without it if it fails, or if another run made it and will undo it. */
  readonly isOptional?: boolean;
  /** What it is by now, if the rest of the host decides that. */
  readonly now?: (state: HostState) => Change;
  /** How the run keeps it while it is up; absent for what the run leaves to others. */
  readonly kept?: Kept;
}

/** How a run keeps something on the host. */
export interface Kept {
  /**
   * Whether the host is like this now, whoever made it so.
   *
   * @param hasFirewall whether all of the run's firewall rules are there
   */
  readonly is: (host: HostState, hasFirewall: boolean) => boolean;
  /** The interface that it needs. While that is down, nothing can be put back. */
  readonly device?: string;
  /** The table of a route. */
  readonly table?: number;
  /** Removes what may be left of it, before it is made again. */
  readonly clean?: readonly UndoAction[];
}
