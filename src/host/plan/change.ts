/**
 * A change to the host: the action that makes it and the action that undoes it.
 *
 * @module
 */
import type { Action, UndoAction } from "./action.ts";
import type { HostState, Route } from "./state.ts";

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
  /** For a route: how to recognise it later. */
  readonly route?: NeededRoute;
  /** What it is by now, if the rest of the host decides that. */
  readonly now?: (state: HostState) => Change;
}

/** How to recognise a route that a run needs. */
export interface NeededRoute {
  readonly table: number;
  /** The interface that it leads to; undefined for a route that refuses. */
  readonly device?: string;
  /** Whether a route is this one, whoever added it. */
  readonly is: (route: Route) => boolean;
}
