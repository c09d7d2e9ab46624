/**
 * Counters: one table of everything that is counted, in memory that another thread can read.
 *
 * @module
 */

/** Everything that is counted besides drops, and what each counter counts. */
export const COUNTERS = {
  "tun-in": "packets read from the TUN interface",
  "tun-out": "packets written to the TUN interface",
  "link-in": "cells received from neighbours",
  "link-out": "cells sent to neighbours",
  "exit-out": "packets sent into the world",
  "exit-in": "packets received from the world",
  "circuits-built": "circuits built to their last hop",
  "build-time": "microseconds that building these took, in all",
  "builds-failed": "circuits given up before they were complete",
  "circuits-lost": "circuits closed because one of their routers was lost",
  "routers-lost": "routers that died",
  "routers-restarted": "routers that came up again",
  "log-lost": "log lines that did not fit into the event ring",
} as const;

/** The reasons to drop a packet or a cell, and what each means. */
export const DROP_REASONS = {
  "not-ipv4": "the version is not 4",
  "bad-length": "a length field disagrees with the length of the packet",
  "header-checksum": "the IPv4 header checksum is wrong",
  "bad-fragment": "a fragment that fits no datagram",
  "fragment-overlap": "fragments of one datagram contradict each other",
  "reassembly-full": "too many incomplete datagrams; the oldest was given up",
  "reassembly-timeout": "a datagram's missing fragment did not arrive in time",
  "not-carried": "a protocol that this stage does not carry",
  "icmp-checksum": "the ICMP checksum is wrong",
  "not-echo-request": "an ICMP message other than echo request",
  "not-a-reply": "a router returned an ICMP message that is no answer",
  "bad-source": "the source is not a host address",
  "bad-destination": "the destination is not a host of the tunnel's block, or is the tunnel's own address",
  "ttl-expired": "the time to live expired; time exceeded was sent where allowed",
  "too-long": "too long for the next link, with don't fragment set; fragmentation needed was sent",
  "sessions-full": "too many echo sessions at once",
  "not-ours": "a packet from the world that answers no request of ours",
  "exit-refused": "the kernel refused a packet for the world",
  "bad-cell": "a datagram that is not a cell",
  "unexpected-cell": "a cell of a type that is not allowed here",
  "unknown-circuit": "a circuit id that is unknown on this link",
  "bad-handshake": "a handshake that is not authentic, or meant for another router",
  "bad-extend": "a request to extend a circuit to an unknown router, or twice",
  "forged": "a sealed cell that is not authentic: changed on its way, or sealed for another router",
  "replayed": "a sealed cell that arrived before, or is older than the replay window",
  "truncated": "a sealed cell too short to hold its layers",
  "worn-out": "a key that has sealed as many cells as it may",
  "circuits-full": "too many circuits at once",
  "queue-full": "too many packets were waiting for a circuit",
  "no-circuit": "no circuit could be built; network unreachable was sent",
  "unknown-peer": "a datagram from a stranger",
  "tun-refused": "the kernel refused a packet for the host",
  "link-refused": "the kernel refused a cell",
} as const;

/** A key of {@linkcode COUNTERS}. */
export type CounterName = keyof typeof COUNTERS;

/** A key of {@linkcode DROP_REASONS}. */
export type DropReason = keyof typeof DROP_REASONS;

/** The name of every counter, in the tables' order. */
export const COUNTER_NAMES = [
  ...Object.keys(COUNTERS),
  ...Object.keys(DROP_REASONS),
] as readonly (CounterName | DropReason)[];
const INDEX = Object.fromEntries(COUNTER_NAMES.map((name, index) => [name, index])) as Record<
  CounterName | DropReason,
  number
>;

/** Bytes of memory that {@linkcode Counters} needs. */
export const COUNTERS_BYTES = COUNTER_NAMES.length * Float64Array.BYTES_PER_ELEMENT;

/**
 * The counters of one packet thread. Only that thread writes them; any thread may read them. They
 * are doubles, because a double counts to 2^53 without wrapping, and an aligned one is written in
 * one piece on every machine that Deno runs on.
 */
export class Counters {
  readonly #values: Float64Array;

  /**
   * Counters over memory. They continue from the values in it.
   *
   * @param memory {@linkcode COUNTERS_BYTES} bytes, shared if another thread reads them
   */
  constructor(memory: ArrayBufferLike = new ArrayBuffer(COUNTERS_BYTES)) {
    this.#values = new Float64Array(memory);
  }

  /** Counts one, or `times`. */
  count(name: CounterName | DropReason, times = 1): void {
    this.#values[INDEX[name]]! += times;
  }

  /** The count so far. */
  get(name: CounterName | DropReason): number {
    return this.#values[INDEX[name]]!;
  }

  /** Every counter that is not zero, in the order of the tables. */
  snapshot(): Snapshot {
    const snapshot: Snapshot = {};
    COUNTER_NAMES.forEach((name, index) => {
      if (this.#values[index]! > 0) snapshot[name] = this.#values[index]!;
    });
    return snapshot;
  }
}

/** Counts by name. A missing counter is zero. */
export type Snapshot = Partial<Record<CounterName | DropReason, number>>;

/** The sums of two snapshots. */
export function addUp(one: Snapshot, other: Snapshot): Snapshot {
  const sums = { ...one };
  for (const name of Object.keys(other) as (keyof Snapshot)[]) sums[name] = (sums[name] ?? 0) + other[name]!;
  return sums;
}

/** The drop reasons in a snapshot, with their counts. */
export function drops(snapshot: Snapshot): [DropReason, number][] {
  return Object.entries(snapshot).filter(([name]) => name in DROP_REASONS) as [DropReason, number][];
}
