/**
 * What happened, packet by packet: the events that become lines of the classic log, and the ring that carries
 * them from the packet thread to the control thread without either waiting for the other.
 *
 * @module
 */

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
   * @param source the packet's source address as it came, unsigned 32 bits
   * @param destination the packet's destination address as it came
   * @param detail the ICMP type, the circuit id of an unknown circuit, or a hop's number from 1
   * @param port the neighbour's UDP port, or a router's number
   * @param incoming the id of the circuit that a cell came by
   * @param outgoing the id of the circuit that it goes by
   * @param rewritten the address that takes the place of the source, or on the way back of the destination
   */
  emit(
    kind: EventKind,
    source: number,
    destination: number,
    detail: number,
    port: number,
    incoming?: number,
    outgoing?: number,
    rewritten?: number,
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
  source: number;
  /** The packet's destination address as it came. */
  destination: number;
  /** See {@linkcode EventSink.emit}. */
  detail: number;
  /** The neighbour's UDP port, or a router's number. */
  port: number;
  /** The id of the circuit that a cell came by. */
  incoming: number;
  /** The id of the circuit that it goes by. */
  outgoing: number;
  /** The address that takes the place of the source, or on the way back of the destination. */
  rewritten: number;
}

/** An event whose fields are all zero, for whoever fills it in. */
export function blankEvent(): Event {
  return {
    kind: EventKind.icmpFromTunnel,
    source: 0,
    destination: 0,
    detail: 0,
    port: 0,
    incoming: 0,
    outgoing: 0,
    rewritten: 0,
  };
}

/** Words of 32 bits that the ring keeps for itself in front of the records. */
const Head = {
  /** Records ever written; the writer's. */
  written: 0,
  /** Records ever read; the reader's. */
  read: 1,
  /** 1 while the reader sleeps and wants to be woken. */
  asleep: 2,
  /** First record, on a cache line of its own. */
  records: 16,
} as const;

/** Words of a record, half a cache line: the kind, and the seven fields of {@linkcode EventSink.emit}. */
const RECORD_WORDS = 8;

/** Records that the ring of a packet thread holds: under a flood, about half a second of lines. */
export const RING_RECORDS = 32_768;

/** Bytes of memory for a ring of `records` records, a power of two. */
export function ringBytes(records: number = RING_RECORDS): number {
  return (Head.records + records * RECORD_WORDS) * Uint32Array.BYTES_PER_ELEMENT;
}

/**
 * A bounded queue of events with one writer and one reader in different threads. Nothing in it locks: the writer
 * alone moves `written`, the reader alone moves `read`, and each tells the other with a sequentially consistent
 * store after its plain work on the records.
 */
export class EventRing implements EventSink {
  readonly #words: Uint32Array;
  readonly #heads: Int32Array;
  readonly #mask: number;
  readonly #lost: () => void;
  /** The writer's own copy of `written`, and what it last knew of `read`. */
  #written = 0;
  #knownRead = 0;
  readonly #event: Event = blankEvent();

  /**
   * A ring over memory, as it stands there.
   *
   * @param memory {@linkcode ringBytes} bytes, shared between the two threads
   * @param lost told of each event that did not fit
   */
  constructor(memory: ArrayBufferLike, lost: () => void = () => {}) {
    this.#words = new Uint32Array(memory);
    this.#heads = new Int32Array(memory, 0, Head.records);
    this.#mask = (this.#words.length - Head.records) / RECORD_WORDS - 1;
    this.#lost = lost;
    this.#written = Atomics.load(this.#heads, Head.written);
    this.#knownRead = Atomics.load(this.#heads, Head.read);
  }

  /** Writer: appends an event, or counts it as lost when the ring is full. */
  emit(
    kind: EventKind,
    source: number,
    destination: number,
    detail: number,
    port: number,
    incoming = 0,
    outgoing = 0,
    rewritten = 0,
  ): void {
    if (((this.#written - this.#knownRead) | 0) > this.#mask) {
      this.#knownRead = Atomics.load(this.#heads, Head.read);
      if (((this.#written - this.#knownRead) | 0) > this.#mask) return this.#lost();
    }
    const words = this.#words;
    const at = Head.records + (this.#written & this.#mask) * RECORD_WORDS;
    words[at] = kind;
    words[at + 1] = source;
    words[at + 2] = destination;
    words[at + 3] = detail;
    words[at + 4] = port;
    words[at + 5] = incoming;
    words[at + 6] = outgoing;
    words[at + 7] = rewritten;
    this.#written = (this.#written + 1) | 0;
    Atomics.store(this.#heads, Head.written, this.#written);
  }

  /** Writer: whether the reader sleeps although there is something to read. */
  get isWaitedFor(): boolean {
    return Atomics.load(this.#heads, Head.asleep) !== 0 &&
      this.#written !== Atomics.load(this.#heads, Head.read);
  }

  /** Writer: wakes the reader if it sleeps. */
  wake(): void {
    if (Atomics.load(this.#heads, Head.asleep) !== 0 && Atomics.exchange(this.#heads, Head.asleep, 0) !== 0) {
      Atomics.notify(this.#heads, Head.asleep);
    }
  }

  /** Reader: hands over every waiting event, oldest first. The event is only good during the call. */
  drain(take: (event: Readonly<Event>) => void): void {
    const written = Atomics.load(this.#heads, Head.written);
    const words = this.#words;
    const event = this.#event;
    let read = Atomics.load(this.#heads, Head.read);
    for (; read !== written; read = (read + 1) | 0) {
      const at = Head.records + (read & this.#mask) * RECORD_WORDS;
      event.kind = words[at]! as EventKind;
      event.source = words[at + 1]!;
      event.destination = words[at + 2]!;
      event.detail = words[at + 3]!;
      event.port = words[at + 4]!;
      event.incoming = words[at + 5]!;
      event.outgoing = words[at + 6]!;
      event.rewritten = words[at + 7]!;
      take(event);
    }
    Atomics.store(this.#heads, Head.read, read);
  }

  /** Reader: resolves as soon as there is something to drain, or {@linkcode EventRing.wake} is called. */
  async untilWritten(): Promise<void> {
    Atomics.store(this.#heads, Head.asleep, 1);
    if (Atomics.load(this.#heads, Head.written) !== Atomics.load(this.#heads, Head.read)) {
      Atomics.store(this.#heads, Head.asleep, 0);
      return;
    }
    await Atomics.waitAsync(this.#heads, Head.asleep, 1).value;
  }
}
