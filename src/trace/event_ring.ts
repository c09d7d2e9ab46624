/**
 * The ring that carries events from the packet thread to the control thread. Neither waits for the
 * other.
 *
 * @module
 */
import { addressBits, UNSPECIFIED } from "../ip/address.ts";
import type { Ipv4View } from "../ip/ipv4.ts";
import {
  At,
  EventRecord,
  isAboutCircuit,
  MAX_REPEATS,
  RECORD_WORDS,
  REPEATS,
  writeDetails,
} from "./event_record.ts";
import { EventSink } from "./events.ts";

/** Where the ring's own 32-bit words are, and where the records begin. */
const Head = {
  /** The number of records ever written, modulo 2^31. Only the writer changes it. */
  written: 0,
  /** The number of records ever read, modulo 2^31. Only the reader changes it. */
  read: 1,
  /** How often the reader has been woken, modulo 2^32. */
  wakes: 2,
  /** The first record. It begins a new cache line. */
  records: 16,
} as const;

/** The bits of a record count, which wraps around after 2^31 - 1. */
const COUNT = 0x7fff_ffff;

/** Bytes of memory for a ring of `records` records, a power of two. */
export function ringBytes(records: number): number {
  return (Head.records + records * RECORD_WORDS) * Int32Array.BYTES_PER_ELEMENT;
}

/** Which events a ring keeps, and how much of them. */
export type Keeps =
  /** Only what happens to circuits. */
  | "circuits"
  /** What the classic lines show. Events in a row with the same line share one record. */
  | "lines"
  /** Every event, each in one record, with the details of its packet. */
  | "packets";

/** How a reader lets other threads run between records. */
interface Breath {
  /** Records between two pauses, a power of two. */
  readonly every: number;
  /** Lets other threads run. */
  readonly take: () => void;
}

/** Options of a ring's writer. */
interface RingOptions {
  /** What it keeps; default `lines`. */
  readonly keeps?: Keeps;
  /** Called for each event that did not fit. */
  readonly lost?: () => void;
}

/**
 * A bounded queue of events with one writer and one reader in different threads. It has no locks.
 * The writer moves `written` and the reader moves `read`, each with a sequentially consistent store
 * after its plain accesses to the records.
 *
 * The writer publishes many events at once, because such a store costs as much as an event. Until
 * then the last record is its own. If only lines are kept, an event with the same line becomes a
 * repeat of that record, because the packets of a flood are alike.
 *
 * The reader sleeps until it is woken and then takes every event. The writer decides when to wake
 * it, because only the writer knows how many there are.
 *
 * ```
 *   … │ read, free again │ published │ not published yet │ free …
 *                        ▲ read      ▲ written           ▲ #next
 * ```
 */
export class EventRing extends EventSink {
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  readonly #heads: Int32Array;
  readonly #mask: number;
  readonly #lost: () => void;
  readonly #keeps: Keeps;
  /**
   * Writer only: the next record to fill, a copy of `written`, and the last known value of `read`.
   */
  #next = 0;
  #written = 0;
  #knownRead = 0;
  /** Writer only: the value of `written` when the reader was last woken. */
  #told = 0;
  /** Reader only: the value of `wakes` when it last drained the ring. */
  #wakes = 0;
  readonly #record: EventRecord;

  /**
   * A ring over memory. It continues from the state in it.
   *
   * @param memory {@linkcode ringBytes} bytes, shared between the two threads
   */
  constructor(memory: ArrayBufferLike, { keeps = "lines", lost = () => {} }: RingOptions = {}) {
    super();
    this.#words = new Int32Array(memory);
    this.#times = new Float64Array(memory);
    this.#heads = new Int32Array(memory, 0, Head.records);
    this.#mask = (this.#words.length - Head.records) / RECORD_WORDS - 1;
    this.#lost = lost;
    this.#keeps = keeps;
    this.#next = this.#written = this.#told = Atomics.load(this.#heads, Head.written);
    this.#knownRead = Atomics.load(this.#heads, Head.read);
    this.#wakes = Atomics.load(this.#heads, Head.wakes);
    this.#record = new EventRecord(memory);
  }

  /** Writer: appends an event, or reports it lost if the ring is full. It is published later. */
  protected override put(
    first: number,
    now: number,
    packet?: Ipv4View,
    incoming = 0,
    outgoing = 0,
    rewritten = UNSPECIFIED,
    destination = packet?.destination ?? UNSPECIFIED,
    length = 0,
  ): void {
    if (this.#keeps === "circuits" && !isAboutCircuit(first)) return;
    const words = this.#words;
    // Signed, as a record holds them: that makes them comparable.
    const from = packet === undefined ? 0 : addressBits(packet.source) | 0;
    const to = addressBits(destination) | 0;
    const instead = addressBits(rewritten) | 0;
    if (this.#keeps === "lines" && this.#next !== this.#written) {
      // The reader cannot see the last record yet, so it can still count a repeat.
      const at = this.#at(this.#next - 1);
      if (
        words[at] === first && words[at + At.source] === from &&
        words[at + At.destination] === to && words[at + At.incoming] === (incoming | 0) &&
        words[at + At.outgoing] === (outgoing | 0) && words[at + At.rewritten] === instead &&
        words[at + At.details]! >>> REPEATS < MAX_REPEATS
      ) {
        words[at + At.details]! += 1 << REPEATS;
        return;
      }
    }
    if (this.#isFull()) return this.#lost();
    const at = this.#at(this.#next);
    words[at] = first;
    words[at + At.source] = from;
    words[at + At.destination] = to;
    words[at + At.incoming] = incoming;
    words[at + At.outgoing] = outgoing;
    words[at + At.rewritten] = instead;
    words[at + At.details] = this.#keeps === "packets" ? length : 0;
    words[at + At.numbers] = 0;
    if (this.#keeps === "packets" && packet !== undefined) writeDetails(words, at, packet);
    this.#times[(at + At.time) >> 1] = now;
    this.#next = (this.#next + 1) & COUNT;
  }

  /** Writer: lets the reader see every event so far, without waking it. */
  publish(): void {
    if (this.#next === this.#written) return;
    this.#written = this.#next;
    Atomics.store(this.#heads, Head.written, this.#next);
  }

  /** Writer: whether an event has been published since the reader was last woken. */
  get hasNews(): boolean {
    return this.#written !== this.#told;
  }

  /**
   * Writer: the part of the ring, 0 to 1, that has been published since the reader was last woken.
   */
  get fill(): number {
    return ((this.#written - this.#told) & COUNT) / (this.#mask + 1);
  }

  /** Writer: publishes, and wakes the reader. */
  wake(): void {
    this.publish();
    this.#told = this.#written;
    Atomics.add(this.#heads, Head.wakes, 1);
    Atomics.notify(this.#heads, Head.wakes);
  }

  /**
   * Reader: takes every published event, oldest first. The writer's own ring also publishes first.
   *
   * @param take called with each record, which is good only during the call, and how many events it
   * stands for
   */
  drainRuns(take: (record: EventRecord, times: number) => void, breath?: Breath): void {
    this.publish(); // does nothing in the reader's thread
    // This comes first, so that a wake from here on ends the next sleep.
    this.#wakes = Atomics.load(this.#heads, Head.wakes);
    const written = Atomics.load(this.#heads, Head.written);
    let read = Atomics.load(this.#heads, Head.read);
    for (; read !== written; read = (read + 1) & COUNT) {
      this.#handOver(read, take);
      if (breath !== undefined && (read + 1) % breath.every === 0) breath.take();
    }
    Atomics.store(this.#heads, Head.read, read);
  }

  /**
   * Takes one record. V8 optimizes this function long before it would optimize the loop around it.
   */
  #handOver(number: number, take: (record: EventRecord, times: number) => void): void {
    const record = this.#record;
    record.moveTo(this.#at(number));
    take(record, record.times);
  }

  /** Reader: resolves once it has been woken after it last drained the ring. */
  async untilWoken(): Promise<void> {
    await Atomics.waitAsync(this.#heads, Head.wakes, this.#wakes).value;
  }

  /** The first word of the record of this number. */
  #at(record: number): number {
    return Head.records + (record & this.#mask) * RECORD_WORDS;
  }

  /** Whether no record is free. */
  #isFull(): boolean {
    if (((this.#next - this.#knownRead) & COUNT) <= this.#mask) return false;
    this.#knownRead = Atomics.load(this.#heads, Head.read);
    return ((this.#next - this.#knownRead) & COUNT) > this.#mask;
  }
}
