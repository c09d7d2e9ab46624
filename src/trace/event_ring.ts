/**
 * The ring that carries events from the packet thread to the control thread without either waiting for the other.
 *
 * @module
 */
import { addressBits, type IpAddress, UNSPECIFIED } from "../ip/address.ts";
import type { Ipv4View } from "../ip/ipv4.ts";
import { icmpType } from "../ip/icmp.ts";
import {
  At,
  EventRecord,
  head,
  Kind,
  MAX_REPEATS,
  RECORD_WORDS,
  REPEATS,
  writeDetails,
} from "./event_record.ts";
import type { Event, EventSink } from "./events.ts";

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

/** Bytes of memory for a ring of `records` records, a power of two. */
export function ringBytes(records: number): number {
  return (Head.records + records * RECORD_WORDS) * Int32Array.BYTES_PER_ELEMENT;
}

/** What a record holds in the place of an address that its kind does not have. */
const NONE = UNSPECIFIED;

/** Which events a ring keeps, and how much of them. */
export type Keeps =
  /** Only what happens to circuits. */
  | "circuits"
  /** What the classic lines show: an event whose line is like the one before becomes a repeat of that. */
  | "lines"
  /** Every event by itself, with its own time and the details of its packet. */
  | "packets";

/** A pause of a ring's reader. */
export interface Breath {
  /** Records from one pause to the next, a power of two. */
  readonly every: number;
  /** Lets others run. */
  readonly take: () => void;
}

/** How the writer of a ring uses it. */
export interface RingOptions {
  /** What it keeps; `lines` by default. */
  readonly keeps?: Keeps;
  /** Told of each event that did not fit. */
  readonly lost?: () => void;
}

/**
 * A bounded queue of events with one writer and one reader in different threads. Nothing in it locks: the writer moves
 * `written`, the reader moves `read`, and each tells the other with a sequentially consistent access after its plain work on the
 * records.
 *
 * The writer does so once for many events, because such an access costs as much as an event. What it has not told of yet is
 * its own, so where only lines count, an event like the one before becomes a repeat of that: the packets of a flood are alike.
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
  readonly #times: Float64Array;
  readonly #heads: Int32Array;
  readonly #mask: number;
  readonly #lost: () => void;
  readonly #keepsPackets: boolean;
  readonly #keepsDetails: boolean;
  readonly #merges: boolean;
  /** The writer's own: the record that it fills next, its copy of `written`, and what it last knew of `read`. */
  #next = 0;
  #written = 0;
  #knownRead = 0;
  /** The writer's own: what was published when it last woke the reader. */
  #told = 0;
  /** The reader's own: how often it had been woken when it last looked. */
  #wakes = 0;
  readonly #record: EventRecord;

  /**
   * A ring over memory, as it stands there.
   *
   * @param memory {@linkcode ringBytes} bytes, shared between the two threads
   */
  constructor(memory: ArrayBufferLike, { keeps = "lines", lost = () => {} }: RingOptions = {}) {
    this.#words = new Int32Array(memory);
    this.#times = new Float64Array(memory);
    this.#heads = this.#words.subarray(0, Head.records);
    this.#mask = (this.#words.length - Head.records) / RECORD_WORDS - 1;
    this.#lost = lost;
    this.#keepsPackets = keeps !== "circuits";
    this.#keepsDetails = keeps === "packets";
    this.#merges = keeps === "lines";
    this.#next = this.#written = this.#told = Atomics.load(this.#heads, Head.written);
    this.#knownRead = Atomics.load(this.#heads, Head.read);
    this.#wakes = Atomics.load(this.#heads, Head.wakes);
    this.#record = new EventRecord(this.#words);
  }

  /** {@inheritDoc EventSink.icmpFromTunnel} */
  icmpFromTunnel(packet: Ipv4View, now: number): void {
    this.#icmp(Kind["icmp-from-tunnel"], packet, 0, packet.destination, now);
  }

  /** {@inheritDoc EventSink.icmpFromPort} */
  icmpFromPort(packet: Ipv4View, port: number, now: number): void {
    this.#icmp(Kind["icmp-from-port"], packet, port, packet.destination, now);
  }

  /** {@inheritDoc EventSink.icmpFromRawSocket} */
  icmpFromRawSocket(packet: Ipv4View, destination: IpAddress, now: number): void {
    this.#icmp(Kind["icmp-from-raw-socket"], packet, 0, destination, now);
  }

  /** {@inheritDoc EventSink.unknownCircuit} */
  unknownCircuit(circuit: number, port: number, packet: Ipv4View | undefined, now: number): void {
    if (!this.#keepsPackets) return;
    const first = head(Kind["unknown-circuit"], 0, port);
    if (packet === undefined) this.#put(first, NONE, NONE, circuit, 0, NONE, now, undefined, 0);
    else this.#put(first, packet.source, packet.destination, circuit, 0, NONE, now, packet, 0);
  }

  /** {@inheritDoc EventSink.hop} */
  hop(hop: number, router: number, now: number): void {
    this.#circuit(head(Kind["hop"], hop, router), 0, 0, now);
  }

  /** {@inheritDoc EventSink.newExtend} */
  newExtend(incoming: number, outgoing: number, port: number, now: number): void {
    this.#circuit(head(Kind["new-extend"], 0, port), incoming, outgoing, now);
  }

  /** {@inheritDoc EventSink.forwardExtend} */
  forwardExtend(incoming: number, outgoing: number, port: number, now: number): void {
    this.#circuit(head(Kind["forward-extend"], 0, port), incoming, outgoing, now);
  }

  /** {@inheritDoc EventSink.extendDone} */
  extendDone(incoming: number, port: number, now: number): void {
    this.#circuit(head(Kind["extend-done"], 0, port), incoming, 0, now);
  }

  /** {@inheritDoc EventSink.relayPacket} */
  relayPacket(packet: Ipv4View, incoming: number, outgoing: number, newSource: IpAddress, now: number): void {
    this.#relayed(Kind["relay-packet"], packet, packet.destination, incoming, outgoing, newSource, now);
  }

  /** {@inheritDoc EventSink.outgoingPacket} */
  outgoingPacket(packet: Ipv4View, incoming: number, newSource: IpAddress, now: number): void {
    this.#relayed(Kind["outgoing-packet"], packet, packet.destination, incoming, 0, newSource, now);
  }

  /** {@inheritDoc EventSink.packetFromWorld} */
  packetFromWorld(packet: Ipv4View, destination: IpAddress, outgoing: number, now: number): void {
    this.#relayed(Kind["packet-from-world"], packet, destination, 0, outgoing, NONE, now);
  }

  /** {@inheritDoc EventSink.relayReply} */
  relayReply(
    packet: Ipv4View,
    incoming: number,
    outgoing: number,
    newDestination: IpAddress,
    now: number,
  ): void {
    this.#relayed(Kind["relay-reply"], packet, packet.destination, incoming, outgoing, newDestination, now);
  }

  /** {@inheritDoc EventSink.relaySealed} */
  relaySealed(incoming: number, outgoing: number, length: number, now: number): void {
    this.#sealed(Kind["relay-sealed"], incoming, outgoing, length, now);
  }

  /** {@inheritDoc EventSink.relayReplySealed} */
  relayReplySealed(incoming: number, outgoing: number, length: number, now: number): void {
    this.#sealed(Kind["relay-reply-sealed"], incoming, outgoing, length, now);
  }

  /** {@inheritDoc EventSink.incomingPacket} */
  incomingPacket(packet: Ipv4View, incoming: number, now: number): void {
    this.#relayed(Kind["incoming-packet"], packet, packet.destination, incoming, 0, NONE, now);
  }

  #icmp(kind: number, packet: Ipv4View, port: number, destination: IpAddress, now: number): void {
    if (!this.#keepsPackets) return;
    const first = head(kind, icmpType(packet.view, packet.payload), port);
    this.#put(first, packet.source, destination, 0, 0, NONE, now, packet, 0);
  }

  #relayed(
    kind: number,
    packet: Ipv4View,
    destination: IpAddress,
    incoming: number,
    outgoing: number,
    rewritten: IpAddress,
    now: number,
  ): void {
    if (!this.#keepsPackets) return;
    this.#put(kind, packet.source, destination, incoming, outgoing, rewritten, now, packet, 0);
  }

  #sealed(kind: number, incoming: number, outgoing: number, length: number, now: number): void {
    if (this.#keepsPackets) this.#put(kind, NONE, NONE, incoming, outgoing, NONE, now, undefined, length);
  }

  #circuit(first: number, incoming: number, outgoing: number, now: number): void {
    this.#put(first, NONE, NONE, incoming, outgoing, NONE, now, undefined, 0);
  }

  /**
   * Writer: appends an event, or counts it as lost when the ring is full. The reader learns of it when it is
   * published.
   */
  #put(
    first: number,
    source: IpAddress,
    destination: IpAddress,
    incoming: number,
    outgoing: number,
    rewritten: IpAddress,
    now: number,
    packet: Ipv4View | undefined,
    length: number,
  ): void {
    const words = this.#words;
    const from = addressBits(source);
    const to = addressBits(destination);
    const instead = addressBits(rewritten);
    if (this.#merges && this.#next !== this.#written) {
      // The one before is not the reader's yet. Looked at first: mostly nothing more has to be done.
      const at = this.#at(this.#next - 1);
      if (
        words[at] === first && words[at + At.source] === (from | 0) &&
        words[at + At.destination] === (to | 0) && words[at + At.incoming] === (incoming | 0) &&
        words[at + At.outgoing] === (outgoing | 0) && words[at + At.rewritten] === (instead | 0) &&
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
    if (this.#keepsDetails && packet !== undefined) writeDetails(words, at, packet);
    else {
      words[at + At.details] = this.#keepsDetails ? length : 0;
      words[at + At.numbers] = 0;
    }
    this.#times[(at + At.time) / 2] = now;
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

  /** Writer: the part of the ring that has been published since then, 0 to 1. */
  get fill(): number {
    return ((this.#written - this.#told) & COUNT) / (this.#mask + 1);
  }

  /** Writer: publishes, and makes the reader look. */
  wake(): void {
    this.publish();
    this.#told = this.#written;
    Atomics.add(this.#heads, Head.wakes, 1);
    Atomics.notify(this.#heads, Head.wakes);
  }

  /** Reader: hands over every published event, oldest first; every event where reader and writer are one. */
  drain(take: (event: Event) => void): void {
    this.drainRuns((record, times) => {
      for (let time = 0; time < times; time++) take(record.decode());
    });
  }

  /**
   * Reader: hands over records, and how many equal events each stands for. The record is only good during the call.
   *
   * @param breath called after every so many records, to let others run
   */
  drainRuns(take: (record: EventRecord, times: number) => void, breath?: Breath): void {
    this.publish(); // nothing, for a reader in another thread
    // First: who is woken from here on has something to look for again.
    this.#wakes = Atomics.load(this.#heads, Head.wakes);
    const written = Atomics.load(this.#heads, Head.written);
    let read = Atomics.load(this.#heads, Head.read);
    for (; read !== written; read = (read + 1) & COUNT) {
      this.#handOver(read, take);
      if (breath !== undefined && (read + 1) % breath.every === 0) breath.take();
    }
    Atomics.store(this.#heads, Head.read, read);
  }

  /** Hands a record over. It is called for each, and so compiled well long before a loop is that runs ten times a second. */
  #handOver(number: number, take: (record: EventRecord, times: number) => void): void {
    const record = this.#record;
    record.moveTo(this.#at(number));
    take(record, record.times);
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
