/**
 * How a run launches routers and talks to them, independent of where they run. Today each router is
 * a child process, see `child.ts`.
 *
 * ```
 *   launch ──► starting ──"up"──► up ──configure──► ready ──stop──► stopped
 *                  └── long silence, or the router's end ──► failed ──kill, launch──► starting
 * ```
 *
 * @module
 */
import type { ReplacedRouter, RouterReady, RouterSettings } from "../../control/messages.ts";
import type { OperatorError } from "../../errors.ts";
import type { Endpoint } from "../../ip/address.ts";
import type { Snapshot } from "../../trace/counters.ts";

/** What a router reports when it is up. */
export interface RouterUp {
  /** Its process id on its machine. */
  readonly pid: number;
  /** Its data link. */
  readonly link: Endpoint;
  /** The port of its end of the control channel. */
  readonly controlPort: number;
}

/** A launched router. */
export interface RouterHandle {
  /** Its number, from 1. */
  readonly number: number;
  /** Its name in messages, e.g. `router 1 (pid 4711)`. */
  readonly label: string;
  /** Resolves when the router is up. */
  readonly up: Promise<RouterUp>;
  /** Resolves when the settings are in force. */
  readonly ready: Promise<RouterReady>;
  /**
   * Resolves when the router dies, is silent too long or cannot go on. Never resolves after `stop`
   * or `kill`.
   */
  readonly failed: Promise<OperatorError>;
  /** Its counters as last reported. */
  readonly counters: Snapshot;
  /** The number of control datagrams that it has rejected, as last reported. */
  readonly rejected: number;
  /** Sends it its settings. Call this once. */
  configure(settings: RouterSettings): void;
  /** Tells it that another router has died, or has a new process. Only after `configure`. */
  replaceNeighbour(other: ReplacedRouter): void;
  /** Kills it if it still runs, and waits for its end. */
  kill(): Promise<void>;
  /**
   * Asks it to stop, and kills it if it does not stop in time. Returns whether it stopped by
   * itself.
   */
  stop(): Promise<boolean>;
}

/** Launches routers. Stop all routers before disposing of their launcher. */
export interface Launcher extends AsyncDisposable {
  /** The port of the proxy's end of the control channel. */
  readonly controlPort: number;
  /** The number of control datagrams that the proxy has rejected. */
  readonly rejected: number;
  /**
   * Launches a router; does not wait until it is up. The number of a router that was stopped or
   * killed may be reused.
   */
  launch(number: number): Promise<RouterHandle>;
  /** Waits until the routers have acknowledged all messages, for at most `timeout` ms. */
  flush(timeout: number): Promise<void>;
}
