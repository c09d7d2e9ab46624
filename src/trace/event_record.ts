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
import { addressFromBits } from "../ip/address.ts";
import { echoIdentifier, echoSequence, ICMP_HEADER, IcmpType, icmpType } from "../ip/icmp.ts";
import { type Ipv4View, Protocol } from "../ip/ipv4.ts";

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

/** The fields of events, and how each is read from the words of its record. */
const FIELDS = {
  /** The packet's source address as it came. */
  source: (words: Uint32Array) => addressFromBits(words[At.source]!),
  /** The packet's destination address as it came. */
  destination: (words: Uint32Array) => addressFromBits(words[At.destination]!),
  /** The ICMP type. */
  type: (words: Uint32Array) => words[At.head]! >>> 8 & 0xff,
  /** The neighbour's UDP port. */
  port: (words: Uint32Array) => words[At.head]! >>> 16,
  /** A circuit id that the core does not know. */
  circuit: (words: Uint32Array) => words[At.incoming]!,
  /** The position of a hop on its path, from 1. */
  hop: (words: Uint32Array) => words[At.head]! >>> 8 & 0xff,
  /** A router's number, from 1. */
  router: (words: Uint32Array) => words[At.head]! >>> 16,
  /** The id of the circuit that a cell came by. */
  incoming: (words: Uint32Array) => words[At.incoming]!,
  /** The id of the circuit that the cell leaves by. */
  outgoing: (words: Uint32Array) => words[At.outgoing]!,
  /** The address that replaces the source. */
  newSource: (words: Uint32Array) => addressFromBits(words[At.rewritten]!),
  /** The address that replaces the destination. */
  newDestination: (words: Uint32Array) => addressFromBits(words[At.rewritten]!),
} as const;

/** The kinds of events, each with its fields. `EventSink` says when each happens. */
export const EVENT_FIELDS = {
  "icmp-from-tunnel": ["source", "destination", "type"],
  "icmp-from-port": ["port", "source", "destination", "type"],
  "icmp-from-raw-socket": ["source", "destination", "type"],
  "unknown-circuit": ["circuit", "source", "destination", "port"],
  "hop": ["hop", "router"],
  "new-extend": ["incoming", "outgoing", "port"],
  "forward-extend": ["incoming", "outgoing", "port"],
  "extend-done": ["incoming", "port"],
  "relay-packet": ["incoming", "outgoing", "source", "newSource", "destination"],
  "outgoing-packet": ["incoming", "source", "newSource", "destination"],
  "packet-from-world": ["source", "destination", "outgoing"],
  "relay-reply": ["incoming", "outgoing", "source", "destination", "newDestination"],
  "relay-sealed": ["incoming", "outgoing"],
  "relay-reply-sealed": ["incoming", "outgoing"],
  "incoming-packet": ["incoming", "source", "destination"],
} as const satisfies Record<string, readonly (keyof typeof FIELDS)[]>;

/** A key of {@linkcode EVENT_FIELDS}. */
export type EventKind = keyof typeof EVENT_FIELDS;

/**
 * Details of a packet that the classic line does not show. Only a ring that keeps packets has them.
 */
interface PacketDetails {
  /** Bytes of the IP packet, or of the sealed contents. */
  readonly length?: number;
  /** The identifier of an ICMP echo message. */
  readonly id?: number;
  /** The sequence number of an ICMP echo message. */
  readonly seq?: number;
  /** The source port of a TCP segment or UDP datagram. */
  readonly sourcePort?: number;
  /** The destination port of a TCP segment or UDP datagram. */
  readonly destinationPort?: number;
}

/** An event: its kind, its time in ms by the core's clock, and the fields of its kind. */
export type Event = {
  [Kind in EventKind]:
    & { readonly kind: Kind; readonly time: number }
    & { readonly [Field in (typeof EVENT_FIELDS)[Kind][number]]: ReturnType<(typeof FIELDS)[Field]> }
    & PacketDetails;
}[EventKind];

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

/** Writes the details of a packet into the record that begins at word `at`, which has none yet. */
export function writeDetails(words: Int32Array, at: number, packet: Ipv4View): void {
  const { view, payload, end, totalLength } = packet;
  words[at + At.details] = totalLength;
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
  readonly #words: Uint32Array;
  readonly #times: Float64Array;
  #at = 0;

  /**
   * A view of the first record.
   *
   * @param memory the ring's
   */
  constructor(memory: ArrayBufferLike) {
    this.#words = new Uint32Array(memory);
    this.#times = new Float64Array(memory);
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
  shown(): Uint32Array {
    return this.#words.slice(this.#at, this.#at + SHOWN_WORDS);
  }

  /**
   * Whether the classic line is the one that these words of {@linkcode EventRecord.shown}
   * determine.
   */
  shows(shown: Uint32Array): boolean {
    for (let word = 0; word < SHOWN_WORDS; word++) {
      if (this.#words[this.#at + word] !== shown[word]) return false;
    }
    return true;
  }

  /** The record as an event. */
  decode(): Event {
    const words = this.#words.subarray(this.#at, this.#at + RECORD_WORDS);
    const kind = KINDS[(words[At.head]! & 0xff) - 1]!;
    const event: Record<string, unknown> = { kind, time: this.#times[(this.#at + At.time) / 2]! };
    for (const field of EVENT_FIELDS[kind]) event[field] = FIELDS[field](words);
    return Object.assign(event, readDetails(words)) as unknown as Event;
  }
}

function readDetails(words: Uint32Array): PacketDetails {
  const details = words[At.details]!;
  const length = details & 0xffff;
  const [high, low] = [words[At.numbers]! >>> 16, words[At.numbers]! & 0xffff];
  if (length === 0) return {};
  if ((details & Numbers.echo) !== 0) return { length, id: high, seq: low };
  if ((details & Numbers.ports) !== 0) return { length, sourcePort: high, destinationPort: low };
  return { length };
}
