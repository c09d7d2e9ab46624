/**
 * The layout of an event in the ring: ten words of 32 bits.
 *
 * ```
 *   0        8        16                31
 *   +--------+--------+-----------------+
 *   |  kind  | type or|  port, or       |
 *   |        |  hop   |  router         |
 *   +--------+--------+-----------------+
 *   |  source                           |
 *   |  destination                      |   what the classic line shows
 *   |  incoming, or unknown circuit     |
 *   |  outgoing                         |
 *   |  new source, or new destination   |
 *   +-----------------+--------+--------+
 *   |  length         |numbers |repeats |   details
 *   |  id and seq, or ports             |
 *   +-----------------+--------+--------+
 *   |  time, a double                   |
 *   |                                   |
 *   +-----------------------------------+
 * ```
 *
 * @module
 */
import { addressFromBits, type IpAddress } from "../ip/address.ts";
import type { Ipv4View } from "../ip/ipv4.ts";
import { Protocol } from "../ip/ipv4.ts";
import { echoIdentifier, echoSequence, ICMP_HEADER, IcmpType, icmpType } from "../ip/icmp.ts";
import { type Event, EVENT_FIELDS, type EventKind, type PacketDetails } from "./events.ts";

/** Words of a record. They are an even number, because the time must be aligned. */
export const RECORD_WORDS = 10;

/** The places of a record's words. */
export const At = {
  head: 0,
  source: 1,
  destination: 2,
  incoming: 3,
  outgoing: 4,
  rewritten: 5,
  details: 6,
  numbers: 7,
  time: 8,
} as const;

/** The number of leading words that determine the classic line. */
const SHOWN_WORDS = At.details;

/** The bit of {@linkcode At.details} where the count of repeats begins. */
export const REPEATS = 24;
/** The max of that count. */
export const MAX_REPEATS = 255;

/** Flags in {@linkcode At.details}: what {@linkcode At.numbers} holds, if anything. */
const Numbers = { echo: 1 << 16, ports: 2 << 16 } as const;

const KINDS = Object.keys(EVENT_FIELDS) as EventKind[];

/** The number of each kind, from 1. */
export const Kind = Object.fromEntries(KINDS.map((kind, index) => [kind, index + 1])) as Record<
  EventKind,
  number
>;

/** A record's first word. */
export function head(kind: number, portOrRouter = 0, typeOrHop = 0): number {
  return kind | typeOrHop << 8 | portOrRouter << 16;
}

/** The first word of a record about an ICMP packet, which must not be a later fragment. */
export function icmpHead(kind: number, { view, payload }: Ipv4View, port = 0): number {
  return head(kind, port, icmpType(view, payload));
}

/** Whether a record with this first word is about a circuit, and not about a packet. */
export function isAboutCircuit(first: number): boolean {
  const kind = first & 0xff;
  return kind >= Kind["hop"] && kind <= Kind["extend-done"];
}

/** Writes the details of a packet into the record that begins at word `at`. */
export function writeDetails(words: Int32Array, at: number, packet: Ipv4View): void {
  const { view, payload, end, totalLength } = packet;
  words[at + At.details] = totalLength;
  words[at + At.numbers] = 0;
  if (packet.fragmentOffset > 0) return;
  switch (packet.protocol) {
    case Protocol.icmp: {
      if (end - payload < ICMP_HEADER) return;
      const type = icmpType(view, payload);
      if (type !== IcmpType.echoRequest && type !== IcmpType.echoReply) return;
      words[at + At.details] = totalLength | Numbers.echo;
      words[at + At.numbers] = echoIdentifier(view, payload) << 16 | echoSequence(view, payload);
      return;
    }
    case Protocol.tcp:
    case Protocol.udp:
      // Both headers begin with the two ports (RFC 9293 §3.1, RFC 768).
      if (end - payload < 4) return;
      words[at + At.details] = totalLength | Numbers.ports;
      words[at + At.numbers] = view.getInt32(payload);
  }
}

/** A reader's view of a record. One object serves every record in turn. */
export class EventRecord {
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  #at = 0;

  /**
   * A view of the first record.
   *
   * @param words the ring's memory
   */
  constructor(words: Int32Array) {
    this.#words = words;
    this.#times = new Float64Array(words.buffer);
  }

  /** Moves to the record that begins at this word. */
  moveTo(at: number): void {
    this.#at = at;
  }

  /** How many events in a row the record stands for. */
  get times(): number {
    return (this.#words[this.#at + At.details]! >>> REPEATS) + 1;
  }

  /**
   * A number that is the same for records with the same classic line, and differs for most others.
   */
  get hash(): number {
    const words = this.#words;
    const at = this.#at;
    return words[at + At.source]! ^ Math.imul(words[at + At.destination]!, 31) ^
      Math.imul(words[at]!, 1021) ^ words[at + At.incoming]!;
  }

  /** A copy of the words that determine the classic line. */
  shown(): Int32Array {
    return this.#words.slice(this.#at, this.#at + SHOWN_WORDS);
  }

  /**
   * Whether the classic line is the one that these words of {@linkcode EventRecord.shown}
   * determine.
   */
  shows(shown: Int32Array): boolean {
    for (let word = 0; word < SHOWN_WORDS; word++) {
      if (this.#words[this.#at + word] !== shown[word]) return false;
    }
    return true;
  }

  /** The record as an event. */
  decode(): Event {
    const kind = KINDS[(this.#words[this.#at]! & 0xff) - 1]!;
    const time = this.#times[(this.#at + At.time) >> 1]!;
    const event: Record<string, unknown> = { kind, time };
    for (const field of EVENT_FIELDS[kind]) event[field] = this.#field(field);
    return Object.assign(event, this.#details()) as unknown as Event;
  }

  #field(field: (typeof EVENT_FIELDS)[EventKind][number]): number | IpAddress {
    const first = this.#word(At.head);
    switch (field) {
      case "type":
      case "hop":
        return first >>> 8 & 0xff;
      case "port":
      case "router":
        return first >>> 16;
      case "circuit":
        return this.#word(At.incoming);
      case "incoming":
      case "outgoing":
        return this.#word(At[field]);
      case "source":
      case "destination":
        return addressFromBits(this.#word(At[field]));
      default:
        return addressFromBits(this.#word(At.rewritten));
    }
  }

  #details(): PacketDetails {
    const details = this.#word(At.details);
    const length = details & 0xffff;
    const [high, low] = [this.#word(At.numbers) >>> 16, this.#word(At.numbers) & 0xffff];
    if (length === 0) return {};
    if ((details & Numbers.echo) !== 0) return { length, id: high, seq: low };
    if ((details & Numbers.ports) !== 0) return { length, sourcePort: high, destinationPort: low };
    return { length };
  }

  #word(word: number): number {
    return this.#words[this.#at + word]! >>> 0;
  }
}
