/**
 * Every tuned constant of the packet threads: when they block, stay awake, move, and tell the log. The decision records
 * say what was measured. Limits of a protocol or of the kernel are not here but beside the code that they bind.
 *
 * @module
 */

/** How much a source moves in a turn; see docs/adr/0012-the-path-of-one-packet.md. */
export const SOURCE = {
  /** Packets in a turn, so that no source keeps the others waiting. */
  burst: 64,
  /** Milliseconds since its last turn after which a packet is alone: a look for a second one would delay the first. */
  aloneAfter: 0.02,
} as const;

/** When a thread stays awake instead of blocking; see docs/adr/0011-threads-together-and-awake.md. */
export const AWAKE = {
  /** Milliseconds after an answer, because a waking takes longer than the next request often does. */
  after: 0.02,
  /** Milliseconds without the processor that show another busy program, because its time slice is about 3 ms. */
  absence: 1,
  /** Such absences in a row that show a crowded processor: one alone may be chance. */
  absences: 3,
  /** Milliseconds without staying awake on a crowded processor, because to get it back takes longer than a waking. */
  rest: 250,
} as const;

/** When the control thread takes events from the ring; see docs/adr/0015-a-log-that-passes-through.md. */
export const LOG = {
  /** Milliseconds after an event, because a waking reader would take a core from the packet under way. */
  delay: 2,
  /** Milliseconds between two looks: each costs 0.2 ms, because the packets have used the caches meanwhile. */
  pause: 100,
  /** The part of the ring that may fill before the reader is woken early, so that nothing is lost. */
  fill: 1 / 4,
  /** Records in the ring, a power of two: 60 ms of a flood in which no event is like the one before. */
  records: 32_768,
  /** Records, some 50 µs of work, after which the reader lets other threads run; see ADR 11. */
  breath: 64,
} as const;

/** Where a packet thread runs; see docs/adr/0011-threads-together-and-awake.md. */
export const PLACEMENT = {
  /** Turns over which the load is measured: long enough that one burst does not decide. */
  window: 64,
  /** Packets a turn from which threads go apart, because packets then wait for each other. */
  many: 2,
  /** Packets a turn up to which threads come together again; less than `many`, so that they do not move to and fro. */
  few: 1.5,
  /** Milliseconds over which busy turns are counted. */
  pace: 100,
  /** Busy turns in that time up to which packets come only now and then, and every processor may sleep. */
  lull: 12,
  /** Milliseconds that threads stay apart at first; doubled when they part again soon, because then it was no rest. */
  firstHold: 100,
  /** Milliseconds that doubling ends at, so that a changed load is noticed. */
  maxHold: 10_000,
} as const;
