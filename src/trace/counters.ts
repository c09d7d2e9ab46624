/**
 * What happened, in numbers: one table of everything that is counted, over memory that another thread can read.
 *
 * @module
 */

/** Everything that is counted: its name, and what one more of it means. */
export const COUNTERS = {
  "tun-in": "packets read from the TUN interface",
  "tun-out": "packets written to the TUN interface",
  "link-in": "cells received from neighbours",
  "link-out": "cells sent to neighbours",
  "exit-out": "packets sent into the world",
  "exit-in": "packets received from the world",
  "circuits-built": "circuits that were built to their last hop",
  "build-time": "microseconds that these took to be built, in all",
  "builds-failed": "circuits given up while they were being built",
  "log-lost": "log lines that did not fit into the event ring",
} as const;

/** Why a packet or a cell was dropped: the reason, and what it means. */
export const DROP_REASONS = {
  "not-ipv4": "the version is not 4",
  "bad-length": "a length field disagrees with the bytes that came",
  "header-checksum": "the IPv4 header checksum is wrong",
  "bad-fragment": "a fragment that no datagram can have",
  "fragment-overlap": "fragments of one datagram contradict each other",
  "reassembly-full": "too many unfinished datagrams; the oldest was given up",
  "reassembly-timeout": "a fragment never came",
  "not-carried": "a protocol that this stage does not carry",
  "icmp-checksum": "the ICMP checksum is wrong",
  "not-echo-request": "an ICMP message other than echo request",
  "not-a-reply": "a router returned an ICMP message that answers nothing",
  "bad-source": "the source address cannot be a host's",
  "bad-destination": "the destination is not a host of the tunnel's block, or is the tunnel's own address",
  "ttl-expired": "the time to live was over; time exceeded was answered where it may be",
  "too-long": "don't fragment was set and the next link too small; fragmentation needed was answered",
  "sessions-full": "too many echo sessions at a time",
  "not-ours": "the world sent something that answers no request of ours",
  "exit-refused": "the kernel did not take a packet for the world",
  "bad-cell": "a datagram that is no cell",
  "unexpected-cell": "a cell that this side of the link does not take",
  "unknown-circuit": "a circuit id that this link does not know",
  "bad-handshake": "a handshake that is not authentic, or not with us",
  "bad-extend": "a circuit was to be extended to nobody that this router knows, or twice",
  "forged": "a sealed cell that is not authentic: changed on its way, or for somebody else",
  "replayed": "a sealed cell that has come before, or is older than the replay window",
  "truncated": "a sealed cell too short to hold its layers",
  "worn-out": "a key that has sealed as many cells as it may",
  "circuits-full": "too many circuits at a time",
  "queue-full": "too many packets waited for a circuit",
  "no-circuit": "no circuit could be built; network unreachable was answered",
  "unknown-peer": "a datagram from a stranger",
  "tun-refused": "the kernel did not take a packet from us",
  "link-refused": "the kernel did not take a cell from us",
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

/** Bytes of memory that {@linkcode Counters} wants. */
export const COUNTERS_BYTES = COUNTER_NAMES.length * Float64Array.BYTES_PER_ELEMENT;

/**
 * The counters of one packet thread, which alone writes them; any thread may read them. Doubles, because they
 * count to 2^53 without wrapping and an aligned one is written whole on every machine that Deno runs on.
 */
export class Counters {
  readonly #values: Float64Array;

  /**
   * Counters over memory; they go on from what stands in it.
   *
   * @param memory {@linkcode COUNTERS_BYTES} bytes, shared where another thread shall read them
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

  /** Everything that is not zero, in the tables' order. */
  snapshot(): Snapshot {
    const snapshot: Snapshot = {};
    COUNTER_NAMES.forEach((name, index) => {
      if (this.#values[index]! > 0) snapshot[name] = this.#values[index]!;
    });
    return snapshot;
  }
}

/** Counts by name; what is missing is zero. */
export type Snapshot = Partial<Record<CounterName | DropReason, number>>;

/** The part of a snapshot that says why packets were dropped. */
export function drops(snapshot: Snapshot): [DropReason, number][] {
  return Object.entries(snapshot).filter(([name]) => name in DROP_REASONS) as [DropReason, number][];
}
