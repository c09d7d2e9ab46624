/**
 * Launching routers: what a run knows of them, wherever they run. Today a router is a child process (`child.ts`).
 *
 * ```
 *   launch ──► starting ──"I'm up"──► up ──configure──► ready ──stop──► stopped
 *                  └──── silence, or the router's end: failed ────┘
 * ```
 *
 * @module
 */
import type { RouterSettings } from "../../control/messages.ts";
import type { OperatorError } from "../../errors.ts";
import type { Endpoint } from "../../ip/address.ts";
import type { Snapshot } from "../../trace/counters.ts";

/** What a router that is up tells of itself. */
export interface RouterUp {
  /** Its process id, where it runs. */
  readonly pid: number;
  /** Its data link. */
  readonly link: Endpoint;
  /** The port that it uses for the control channel. */
  readonly controlPort: number;
}

/** A router that has been launched. */
export interface RouterHandle {
  /** Its number, from 1. */
  readonly number: number;
  /** Its name for people, e.g. `router 1 (pid 4711)`. */
  readonly label: string;
  /** Resolves when the router is up. */
  readonly up: Promise<RouterUp>;
  /** Resolves when the settings are in force, with the router's static public key if it seals. */
  readonly ready: Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Resolves when the router has died, has gone silent, or cannot go on; never once it was asked to stop. */
  readonly failed: Promise<OperatorError>;
  /** What it has counted, as last reported. */
  readonly counters: Snapshot;
  /** Control datagrams that it has rejected, as last reported. */
  readonly rejected: number;
  /** Tells it what to do, once. */
  configure(settings: RouterSettings): void;
  /** Asks it to stop, or ends it if it does not in time: whether it stopped by itself. */
  stop(): Promise<boolean>;
}

/** Launches routers and speaks with them. Stop the routers before it is disposed of. */
export interface Launcher extends AsyncDisposable {
  /** The port of the proxy's end of the control channel. */
  readonly controlPort: number;
  /** Control datagrams that the proxy has rejected. */
  readonly rejected: number;
  /** Launches a router; a stopped one's number may be used again. Returns before the router is up. */
  launch(number: number): Promise<RouterHandle>;
}
