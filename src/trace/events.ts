/**
 * What happened, packet by packet: the events that become lines of the classic log, and the ring that carries
 * them from the packet thread to the control thread without either waiting for the other.
 *
 * @module
 */
import { addressBits, addressFromBits, type IpAddress, UNSPECIFIED } from "../ip/address.ts";

/** Kinds of events, as they stand in a record. Zero is never one. */
export const EventKind = {
  /** An ICMP packet came out of the TUN interface. */
  icmpFromTunnel: 1,
  /** An ICMP packet came from a neighbour's port. */
  icmpFromPort: 2,
  /** A cell named a circuit that this router does not know. */
  unknownCircuit: 3,
  /** An ICMP packet came from the world. */
  icmpFromRawSocket: 4,
  /** The proxy has chosen a hop of a circuit that it is about to build. */
  hop: 5,
  /** A router extends a circuit to a neighbour. */
  newExtend: 6,
  /** A router passes an extend cell on. */
  forwardExtend: 7,
  /** The proxy hears that a circuit has been extended. */
  extendDone: 8,
  /** A router passes a packet on, away from the proxy. */
  relayPacket: 9,
  /** A packet leaves the onion. */
  outgoingPacket: 10,
  /** A packet from the world goes back into the onion. */
  packetFromWorld: 11,
  /** A router passes a packet back, towards the proxy. */
  relayReply: 12,
  /** A router passes a packet on that it cannot read. */
  relaySealed: 13,
  /** A router passes a packet back that it cannot read. */
  relayReplySealed: 14,
  /** A packet came back to the proxy by a circuit. */
  incomingPacket: 15,
} as const;

/** One of {@linkcode EventKind}. */
export type EventKind = (typeof EventKind)[keyof typeof EventKind];

/** The kinds that tell of a circuit and not of a single packet: few, and wanted even where packets are not logged. */
const ABOUT_CIRCUITS: ReadonlySet<EventKind> = new Set([
  EventKind.hop,
  EventKind.newExtend,
  EventKind.forwardExtend,
  EventKind.extendDone,
]);

/** Takes events as they happen. Fields that a kind does not have are zero. */
export interface EventSink {
  /**
   * Takes one event.
   *
   * @param kind what happened
   * @param source the packet's source address as it came; undefined where the kind has none
   * @param destination the packet's destination address as it came, likewise
   * @param detail the ICMP type, the circuit id of an unknown circuit, or a hop's number from 1
   * @param port the neighbour's UDP port, or a router's number
   * @param incoming the id of the circuit that a cell came by
   * @param outgoing the id of the circuit that it goes by
   * @param rewritten the address that takes the place of the source, or on the way back of the destination
   */
  emit(
    kind: EventKind,
    source: IpAddress | undefined,
    destination: IpAddress | undefined,
    detail: number,
    port: number,
    incoming?: number,
    outgoing?: number,
    rewritten?: IpAddress,
  ): void;
}

/** Where events go that nobody wants. */
export const SILENT: EventSink = { emit: () => {} };

/** Lets only those events through that are not about single packets. */
export function withoutPackets(sink: EventSink): EventSink {
  return {
    emit(kind, ...fields) {
      if (ABOUT_CIRCUITS.has(kind)) sink.emit(kind, ...fields);
    },
  };
}

/** One event, as read from the ring: the same object every time. */
export interface Event {
  /** What happened. */
  kind: EventKind;
  /** The packet's source address as it came. */
  source: IpAddress;
  /** The packet's destination address as it came. */
  destination: IpAddress;
  /** See {@linkcode EventSink.emit}. */
  detail: number;
  /** The neighbour's UDP port, or a router's number. */
  port: number;
  /** The id of the circuit that a cell came by. */
  incoming: number;
  /** The id of the circuit that it goes by. */
  outgoing: number;
  /** The address that takes the place of the source, or on the way back of the destination. */
  rewritten: IpAddress;
}

/** An event whose fields are all zero, for whoever fills it in. */
export function blankEvent(): Event {
  return {
    kind: EventKind.icmpFromTunnel,
    source: UNSPECIFIED,
    destination: UNSPECIFIED,
    detail: 0,
    port: 0,
    incoming: 0,
    outgoing: 0,
    rewritten: UNSPECIFIED,
  };
}

/** Words of 32 bits that the ring keeps for itself in front of the records. */
const Head = {
  /** Records ever written, see {@linkcode COUNT}; the writer's. */
  written: 0,
  /** Records ever read, likewise; the reader's. */
  read: 1,
  /** How often the reader has been woken, modulo 2^32. */
  wakes: 2,
  /** First record, on a cache line of its own. */
  records: 16,
} as const;

/** The bits that count records: from 2^31 - 1 on it goes back to 0. */
const COUNT = 0x7fff_ffff;

/**
 * Words of a record, half a cache line: the kind and its repeats, and the seven fields of {@linkcode EventSink.emit}. Records
 * are compared word by word, so what an event does not have must be zero.
 */
const RECORD_WORDS = 8;

/** The kind in a record's first word. */
const KIND = 0xff;
/** Where in that word it stands how often the event came again at once, and the most that there is room for. */
const REPEATS = 8;
const MOST_REPEATS = 2 ** (32 - REPEATS) - 1;

/** Records that a reader takes before it draws breath, a power of two. They take some 50 µs. */
const BREATH = 64;

/** Records that the ring of a packet thread holds: where no event is like the one before, 60 ms of a flood. */
export const RING_RECORDS = 32_768;

/** Bytes of memory for a ring of `records` records, a power of two. */
export function ringBytes(records: number = RING_RECORDS): number {
  return (Head.records + records * RECORD_WORDS) * Int32Array.BYTES_PER_ELEMENT;
}

/**
 * A bounded queue of events with one writer and one reader in different threads. Nothing in it locks: the writer moves
 * `written`, the reader moves `read`, and each tells the other with a sequentially consistent access after its plain work on the
 * records.
 *
 * The writer does so once for many events, because such an access costs as much as an event. What it has not told of yet is
 * its own, so an event like the one before becomes a repeat of that: the packets of a flood are alike.
 *
 * A reader sleeps until it is woken, and then takes all there is. When that is worth it, the writer decides: it knows how much there is.
 *
 * ```
 *   … | read, free again | waits for the reader | not published yet | free …
 *                        ▲ read                 ▲ written           ▲ the writer's own #next
 * ```
 */
export class EventRing implements EventSink {
  readonly #words: Int32Array;
  readonly #heads: Int32Array;
  readonly #mask: number;
  readonly #lost: () => void;
  /** The writer's own: the record that it fills next, its copy of `written`, and what it last knew of `read`. */
  #next = 0;
  #written = 0;
  #knownRead = 0;
  /** The writer's own: what was published when it last woke the reader. */
  #told = 0;
  /** The reader's own: how often it had been woken when it last looked. */
  #wakes = 0;
  readonly #event: Event = blankEvent();

  /**
   * A ring over memory, as it stands there.
   *
   * @param memory {@linkcode ringBytes} bytes, shared between the two threads
   * @param lost told of each event that did not fit
   */
  constructor(memory: ArrayBufferLike, lost: () => void = () => {}) {
    this.#words = new Int32Array(memory);
    this.#heads = this.#words.subarray(0, Head.records);
    this.#mask = (this.#words.length - Head.records) / RECORD_WORDS - 1;
    this.#lost = lost;
    this.#next = this.#written = this.#told = Atomics.load(this.#heads, Head.written);
    this.#knownRead = Atomics.load(this.#heads, Head.read);
    this.#wakes = Atomics.load(this.#heads, Head.wakes);
  }

  /**
   * Writer: appends an event, or counts it as lost when the ring is full. The reader learns of it when it is
   * published.
   */
  emit(
    kind: EventKind,
    source: IpAddress | undefined,
    destination: IpAddress | undefined,
    detail: number,
    port: number,
    incoming = 0,
    outgoing = 0,
    rewritten?: IpAddress,
  ): void {
    const from = bitsOf(source);
    const to = bitsOf(destination);
    const instead = bitsOf(rewritten);
    const words = this.#words;
    if (this.#next !== this.#written) {
      // The one before is not the reader's yet. Looked at first: mostly nothing more has to be done.
      const at = this.#at(this.#next - 1);
      const first = words[at]!;
      if (
        (first & KIND) === kind && words[at + 1] === (from | 0) && words[at + 2] === (to | 0) &&
        words[at + 3] === (detail | 0) && words[at + 4] === (port | 0) && words[at + 5] === (incoming | 0) &&
        words[at + 6] === (outgoing | 0) && words[at + 7] === (instead | 0) &&
        first >>> REPEATS < MOST_REPEATS
      ) {
        words[at] = first + (1 << REPEATS);
        return;
      }
    }
    if (this.#isFull()) return this.#lost();
    const at = this.#at(this.#next);
    words[at] = kind;
    words[at + 1] = from;
    words[at + 2] = to;
    words[at + 3] = detail;
    words[at + 4] = port;
    words[at + 5] = incoming;
    words[at + 6] = outgoing;
    words[at + 7] = instead;
    this.#next = (this.#next + 1) & COUNT;
  }

  /** Writer: lets the reader see what has been emitted so far, if it looks. */
  publish(): void {
    if (this.#next === this.#written) return;
    this.#written = this.#next;
    Atomics.store(this.#heads, Head.written, this.#next);
  }

  /** Writer: whether something has been published since the reader was last woken. */
  get hasNews(): boolean {
    return this.#written !== this.#told;
  }

  /** Writer: whether that is so much that the reader had better look soon. */
  get isFilling(): boolean {
    return ((this.#written - this.#told) & COUNT) > this.#mask / 4;
  }

  /** Writer: publishes, and makes the reader look. */
  wake(): void {
    this.publish();
    this.#told = this.#written;
    Atomics.add(this.#heads, Head.wakes, 1);
    Atomics.notify(this.#heads, Head.wakes);
  }

  /**
   * Reader: hands over every published event, oldest first; every event where reader and writer are one. The event is
   * only good during the call.
   */
  drain(take: (event: Readonly<Event>) => void): void {
    this.drainRuns((event, times) => {
      for (let time = 0; time < times; time++) take(event);
    });
  }

  /**
   * Reader: the same, but tells of equal events in a row at once, and how many they are, and breathes now and then.
   *
   * @param breathe called after every {@linkcode BREATH} records, for others who wait
   */
  drainRuns(take: (event: Readonly<Event>, times: number) => void, breathe: () => void = () => {}): void {
    this.publish(); // nothing, for a reader in another thread
    // First: who is woken from here on has something to look for again.
    this.#wakes = Atomics.load(this.#heads, Head.wakes);
    const written = Atomics.load(this.#heads, Head.written);
    let read = Atomics.load(this.#heads, Head.read);
    for (; read !== written; read = (read + 1) & COUNT) {
      this.#handOver(read, take);
      if ((read + 1) % BREATH === 0) breathe();
    }
    Atomics.store(this.#heads, Head.read, read);
  }

  /** Hands a record over. It is called for each, and so compiled well long before a loop is that runs ten times a second. */
  #handOver(record: number, take: (event: Readonly<Event>, times: number) => void): void {
    const words = this.#words;
    const event = this.#event;
    const at = this.#at(record);
    const first = words[at]!;
    event.kind = (first & KIND) as EventKind;
    event.source = addressFromBits(words[at + 1]! >>> 0);
    event.destination = addressFromBits(words[at + 2]! >>> 0);
    event.detail = words[at + 3]! >>> 0;
    event.port = words[at + 4]! >>> 0;
    event.incoming = words[at + 5]! >>> 0;
    event.outgoing = words[at + 6]! >>> 0;
    event.rewritten = addressFromBits(words[at + 7]! >>> 0);
    take(event, (first >>> REPEATS) + 1);
  }

  /** Reader: resolves when it has been woken since it last drained the ring. */
  async untilWoken(): Promise<void> {
    await Atomics.waitAsync(this.#heads, Head.wakes, this.#wakes).value;
  }

  /** Where the record of this number begins. */
  #at(record: number): number {
    return Head.records + (record & this.#mask) * RECORD_WORDS;
  }

  /** Whether there is no room for one more record. */
  #isFull(): boolean {
    if (((this.#next - this.#knownRead) & COUNT) <= this.#mask) return false;
    this.#knownRead = Atomics.load(this.#heads, Head.read);
    return ((this.#next - this.#knownRead) & COUNT) > this.#mask;
  }
}

/** A record holds 0 where an event has no address. */
function bitsOf(address: IpAddress | undefined): number {
  return address === undefined ? 0 : addressBits(address);
}
