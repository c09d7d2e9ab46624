/**
 * Every tuned constant of the packet threads: when they block, stay awake, move, and wake the log.
 * All times are in ms. The decision records (ADR) say what was measured. Limits of a protocol or of
 * the kernel are beside the code that they bind.
 *
 * @module
 */

/** How many packets a source moves in a turn: docs/adr/0012-the-path-of-one-packet.md. */
export const SOURCE = {
  /** Max packets, so that no source keeps the others waiting. */
  burst: 64,
  /** ms of pause after which a packet counts as alone: looking for a second delays the first. */
  aloneAfter: 0.02,
} as const;

/** When a thread stays awake instead of blocking: docs/adr/0011-threads-together-and-awake.md. */
export const AWAKE = {
  /** ms after an answer, because the next request often comes sooner than a thread wakes. */
  after: 0.02,
  /** ms without the processor that reveal a busy program, because a time slice is about 3 ms. */
  absence: 1,
  /** Absences in a row that reveal a crowded processor, because a single one may be chance. */
  absences: 3,
  /** ms to block on a crowded processor, because getting it back takes longer than waking. */
  rest: 250,
} as const;

/** When the control thread reads the event ring: docs/adr/0015-a-log-that-passes-through.md. */
export const LOG = {
  /** ms after an event, because a waking reader would take a processor from the packet. */
  delay: 2,
  /** ms between two wakes, because each costs 0.2 ms: packets have filled the caches meanwhile. */
  pause: 100,
  /** The part of the ring that fills before the reader is woken early, so that no event is lost. */
  fill: 1 / 4,
  /** Records in the ring, a power of two: 60 ms of a flood without equal events in a row. */
  records: 32_768,
  /** Records, about 50 µs of work, after which the reader lets other threads run (ADR 11). */
  breath: 64,
} as const;

/** Where a packet thread runs: docs/adr/0011-threads-together-and-awake.md. */
export const PLACEMENT = {
  /** Turns over which the load is measured, so that a single burst does not decide. */
  window: 64,
  /** Packets a turn from which threads go apart, because packets then wait for each other. */
  many: 2,
  /** Packets a turn up to which threads come together: below `many`, so they do not oscillate. */
  few: 1.5,
  /** ms over which turns with packets are counted, short enough to notice traffic soon. */
  pace: 100,
  /** Turns with packets in that time up to which packets are rare, and processors may sleep. */
  lull: 12,
  /** ms that threads stay apart at first. The time doubles if the load comes back soon. */
  firstHold: 100,
  /** Max ms that threads stay apart, so that a change of load is noticed. */
  maxHold: 10_000,
} as const;
