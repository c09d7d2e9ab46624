/**
 * The stage table. A stage is a profile: a set of features of one engine, never a code path of its own.
 *
 * @module
 */
import type { ProtocolName } from "../ip/ipv4.ts";

/** A kind of exit: it answers echo requests itself, or sends by a raw ICMP socket. `exit/registry.ts` has a row for each. */
export type ExitKind = "echo" | "raw-icmp";

/** How the proxy comes by its circuits: one to each router, there from the start; or built, in the clear or sealed. */
export type CircuitKind = "given" | "plain" | "sealed";

/** How many there may be of something, and how many there are when nothing is said. */
export interface Count {
  readonly min: number;
  readonly max: number;
  readonly default: number;
}

/** What one stage switches on. */
export interface Stage {
  /** 1 to 9. */
  readonly number: number;
  /** One line for `--help` and the README. */
  readonly shows: string;
  /** How many routers this stage may have, and has when nothing is said. */
  readonly routers: Count;
  /** Routers that a packet passes; 0 where no packet travels. Where circuits are built, fewer than there are routers. */
  readonly hops: Count;
  readonly circuits: CircuitKind;
  /** Whether the proxy opens a TUN interface and relays its packets. */
  readonly traffic: boolean;
  /** Whether the host's own packets to some destinations are led into the tunnel. */
  readonly captures: boolean;
  /** The protocols that packets may have. */
  readonly carries: readonly ProtocolName[];
  /** How packets leave the last router; undefined if none travel. */
  readonly exit: ExitKind | undefined;
}

/** The stages that this version runs, in order. */
export const STAGES: readonly Stage[] = [
  {
    number: 1,
    shows: 'the proxy starts a router, which says "I\'m up"',
    routers: { min: 1, max: 1, default: 1 },
    hops: { min: 0, max: 0, default: 0 },
    circuits: "given",
    traffic: false,
    captures: false,
    carries: [],
    exit: undefined,
  },
  {
    number: 2,
    shows: "ping any 10.5.51.x: TUN, proxy, router, and back",
    routers: { min: 1, max: 1, default: 1 },
    hops: { min: 1, max: 1, default: 1 },
    circuits: "given",
    traffic: true,
    captures: false,
    carries: ["icmp"],
    exit: "echo",
  },
  {
    number: 3,
    shows: "ping the real world out of the router's own interface",
    routers: { min: 1, max: 1, default: 1 },
    hops: { min: 1, max: 1, default: 1 },
    circuits: "given",
    traffic: true,
    captures: true,
    carries: ["icmp"],
    exit: "raw-icmp",
  },
  {
    number: 4,
    shows: "several routers, one chosen by the destination",
    routers: { min: 1, max: 6, default: 4 },
    hops: { min: 1, max: 1, default: 1 },
    circuits: "given",
    traffic: true,
    captures: true,
    carries: ["icmp"],
    exit: "raw-icmp",
  },
  {
    number: 5,
    shows: "circuits of several routers, chosen at random",
    routers: { min: 2, max: 6, default: 4 },
    hops: { min: 1, max: 5, default: 3 },
    circuits: "plain",
    traffic: true,
    captures: true,
    carries: ["icmp"],
    exit: "raw-icmp",
  },
  {
    number: 6,
    shows: "the same, encrypted layer by layer",
    routers: { min: 2, max: 6, default: 4 },
    hops: { min: 1, max: 5, default: 3 },
    circuits: "sealed",
    traffic: true,
    captures: true,
    carries: ["icmp"],
    exit: "raw-icmp",
  },
];

/** The most routers that a stage may have. */
export const MAX_ROUTERS: number = Math.max(...STAGES.map(({ routers }) => routers.max));

/** The highest stage number there will ever be; `--stage` refuses anything above it as no stage at all. */
export const LAST_STAGE = 9;
