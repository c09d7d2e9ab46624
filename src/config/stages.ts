/**
 * The stage table. A stage is a set of features of one engine, never a separate code path.
 *
 * @module
 */
import type { CircuitKindName } from "../circuit/kind.ts";
import type { ProtocolName } from "../ip/ipv4.ts";

/** A kind of exit. `exit/registry.ts` has a row for each. */
export type ExitKind = "echo" | "raw-icmp";

/** The smallest and the largest valid number. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** A range with its default. */
interface Count extends Range {
  readonly default: number;
}

/** The features of one stage. */
export interface Stage {
  /** 1 to 9. */
  readonly number: number;
  /** One line for `--help` and the README. */
  readonly shows: string;
  /** Number of routers. */
  readonly routers: Count;
  /** Routers on a packet's path; 0 without traffic. Built circuits leave one router out. */
  readonly hops: Count;
  /** The kind of its circuits. */
  readonly circuits: CircuitKindName;
  /** Whether the proxy opens a TUN interface and relays its packets. */
  readonly traffic: boolean;
  /** Whether the host's own packets to some destinations go into the tunnel. */
  readonly captures: boolean;
  /** The protocols that packets may have. */
  readonly carries: readonly ProtocolName[];
  /** Whether a router that dies is restarted. Otherwise its end is the end of the run. */
  readonly restarts: boolean;
  /** How packets leave the last router; undefined if none travel. */
  readonly exit: ExitKind | undefined;
}

// Each stage adds to the one before it. It names only what differs.

const starting: Stage = {
  number: 1,
  shows: 'the proxy starts a router, which says "I\'m up"',
  routers: { min: 1, max: 1, default: 1 },
  hops: { min: 0, max: 0, default: 0 },
  circuits: "direct",
  traffic: false,
  captures: false,
  carries: [],
  restarts: false,
  exit: undefined,
};

const echoing: Stage = {
  ...starting,
  number: 2,
  shows: "ping any 10.5.51.x: TUN, proxy, router, and back",
  hops: { min: 1, max: 1, default: 1 },
  traffic: true,
  carries: ["icmp"],
  exit: "echo",
};

const exiting: Stage = {
  ...echoing,
  number: 3,
  shows: "ping the real world out of the router's own interface",
  captures: true,
  exit: "raw-icmp",
};

const choosing: Stage = {
  ...exiting,
  number: 4,
  shows: "several routers, one chosen by the destination",
  routers: { min: 1, max: 6, default: 4 },
  restarts: true,
};

const building: Stage = {
  ...choosing,
  number: 5,
  shows: "circuits of several routers, chosen at random",
  routers: { min: 2, max: 6, default: 4 },
  hops: { min: 1, max: 5, default: 3 },
  circuits: "plain",
};

const sealing: Stage = {
  ...building,
  number: 6,
  shows: "the same, encrypted layer by layer",
  circuits: "sealed",
};

/** The stages that this version runs, in order. */
export const STAGES: readonly Stage[] = [starting, echoing, exiting, choosing, building, sealing];

/** Maximum number of routers of any stage. */
export const MAX_ROUTERS: number = Math.max(...STAGES.map(({ routers }) => routers.max));

/** The number of the last stage, whether or not this version has it. */
export const LAST_STAGE = 9;
