/**
 * From the captures of a run to what passed from whom to whom, in the order in which it did. Pure.
 *
 * ```
 *   tunnel.pcapng, router3.world.pcapng   a packet passes   ┐ by their time, one after the other: from a party's hands
 *   proxy-router1.pcapng                  a cell passes     ┘ into another's
 *   router1.inside.pcapng                 what the router has in its hands then: what it could read of that cell
 * ```
 *
 * Which ping a passage belongs to is told by the echo's sequence number, where that can be read. What is sealed is
 * followed instead: each party hands on, in either direction, what it has had longest.
 *
 * @module
 */
import { CELL_HEADER, CellType } from "../cell/cell.ts";
import { type Cell, parseCell } from "../cell/parse.ts";
import type { PacketItem, PcapngItem } from "../pcap/pcapng_reader.ts";
import { readUdpFrame } from "../pcap/udp_frame.ts";
import { Note, SEALED_PROTOCOL } from "../device/tap/devices.ts";
import type { IpAddress } from "../ip/address.ts";
import { IcmpType } from "../ip/icmp.ts";
import { IPV4_HEADER } from "../ip/ipv4.ts";
import { type Packet, parsePacket } from "../ip/packet.ts";
import { partyOf, PING, PROXY, WORLD } from "./parties.ts";

/** Something that passed from one party to another. */
export interface Passage {
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  readonly from: string;
  readonly to: string;
  /** Bytes of the cell, or of the IP packet where there is no cell. */
  readonly bytes: number;
  /** The first of these bytes, at most {@linkcode FIRST_BYTES}, in hex. */
  readonly first: string;
  /** Away from ping, back to it, or neither: then a circuit is built or ended. */
  readonly way: Way | undefined;
  /** Absent in the tunnel and in the world, where packets are bare. */
  readonly cell: Cell | undefined;
  /** The packet, where everybody who sees it pass can read it. */
  readonly packet: Packet | undefined;
  /** Which of the packets that ping has sent this belongs to, from 1. */
  readonly round: number | undefined;
  /** What whoever gets it can read of it; absent where nothing is known of that. */
  readonly sight: Sight | undefined;
}

/** The direction of a packet, as seen from who has sent the first one. */
type Way = "out" | "back";

/** What a party has in its hands when its own layer, if any, is off: a packet, or bytes that are sealed for others. */
type Sight =
  | { readonly kind: "packet"; readonly packet: Packet }
  | { readonly kind: "sealed"; readonly bytes: number };

/** Bytes that are shown of each passage: a cell's header, and the first four of its body. */
const FIRST_BYTES: number = CELL_HEADER + 4;

/** Cells that carry packets, and which way. */
const WAYS: Readonly<Record<number, Way>> = {
  [CellType.relayData]: "out",
  [CellType.relaySealed]: "out",
  [CellType.returnData]: "back",
  [CellType.returnSealed]: "back",
};

/** Cells whose packet everybody can read. */
const PLAIN: readonly number[] = [CellType.relayData, CellType.returnData];

/** A passage whose round and sight are still to be found. */
type Draft = { -readonly [Key in keyof Passage]: Passage[Key] };

/** What passed, from what all capture files of a run hold, in any order of the files. */
export function passages(items: Iterable<PcapngItem>): Passage[] {
  const all = [...items];
  const names = new Map(
    all.flatMap((item) => item.kind === "names" ? [[item.address, partyOf(item.names[0])] as const] : []),
  );
  const packets = all.filter((item) => item.kind === "packet");
  const follower = new Follower();
  for (const item of packets.toSorted((one, other) => one.timestamp - other.timestamp)) {
    const [, party, place] = /^(.*)\.(inside|world)$/.exec(item.on.name) ?? [];
    if (place === "inside") follower.sees(partyOf(party!), item);
    else {
      const passage = place === "world"
        ? bare(item, partyOf(party!), WORLD, Note.intoWorld)
        : item.on.name === "tunnel"
        ? bare(item, PING, PROXY, Note.fromHost)
        : onLink(item, names);
      if (passage !== undefined) follower.passes(passage);
    }
  }
  return follower.passages();
}

/** A packet without a cell around it. The note on it says which way it went. */
function bare(item: PacketItem, near: string, far: string, outward: string): Draft | undefined {
  const packet = parsePacket(item.bytes);
  if (packet === undefined) return undefined;
  const way = item.comments.includes(outward) ? "out" : "back";
  const [from, to] = way === "out" ? [near, far] : [far, near];
  return { ...seen(item, item.bytes), from, to, way, cell: undefined, packet };
}

/** A cell on a data link. */
function onLink(item: PacketItem, names: ReadonlyMap<IpAddress, string>): Draft | undefined {
  const datagram = readUdpFrame(item.bytes);
  if (datagram === undefined) return undefined;
  const [from, to] = [datagram.from, datagram.to].map(({ address }) => names.get(address));
  const cell = parseCell(datagram.payload);
  if (from === undefined || to === undefined || cell === undefined) return undefined;
  return {
    ...seen(item, datagram.payload),
    from,
    to,
    way: WAYS[cell.type],
    cell,
    packet: PLAIN.includes(cell.type) ? parsePacket(cell.body) : undefined,
  };
}

function seen({ timestamp }: PacketItem, bytes: Uint8Array) {
  return {
    time: timestamp,
    bytes: bytes.length,
    first: bytes.subarray(0, FIRST_BYTES).toHex(),
    round: undefined,
    sight: undefined,
  };
}

/** Follows what passes, in order of time. */
class Follower {
  readonly #passages: Draft[] = [];
  /** Sealed cells that their receiver has not looked into yet, by receiver and way. */
  readonly #unseen = new Queues<Draft>();
  /** The rounds that a party has in its hands, by party and way. */
  readonly #held = new Queues<number>();
  /** The round of a sequence number. */
  readonly #rounds = new Map<number, number>();
  #lastRound = 0;

  /** Somebody gets something. */
  passes(passage: Draft): void {
    const { way, from, to, cell, packet } = passage;
    this.#passages.push(passage);
    if (way === undefined) return;
    passage.round = this.#roundOf(passage);
    if (passage.round !== undefined) this.#held.add(to, way, passage.round);
    if (packet !== undefined) passage.sight = { kind: "packet", packet };
    else if (cell !== undefined && to !== PROXY) this.#unseen.add(to, way, passage);
    // The proxy has no layer left: what was in the cell is what it gives to ping.
    if (from === PROXY && to === PING && packet !== undefined) {
      const last = this.#passages.findLast(({ to, round }) => to === PROXY && round === passage.round);
      if (last?.cell !== undefined) last.sight = { kind: "packet", packet };
    }
  }

  /** A router looks at what it has got. What is not sealed was seen before, and what it answers itself, nobody gave to it. */
  sees(router: string, item: PacketItem): void {
    const way = item.comments.some((note) => note.startsWith(Note.wayOut)) ? "out" : "back";
    const passage = this.#unseen.take(router, way);
    const packet = parsePacket(item.bytes);
    if (passage === undefined || packet === undefined) return;
    passage.sight = packet.protocol === SEALED_PROTOCOL
      ? { kind: "sealed", bytes: item.bytes.length - IPV4_HEADER }
      : { kind: "packet", packet };
  }

  /** All passages, in order. */
  passages(): Passage[] {
    return this.#passages;
  }

  #roundOf({ way, from, packet }: Draft): number | undefined {
    if (from === PING && packet?.type === IcmpType.echoRequest) {
      this.#rounds.set(packet.sequence!, ++this.#lastRound);
      return this.#lastRound;
    }
    const known = packet?.sequence === undefined ? undefined : this.#rounds.get(packet.sequence);
    // What comes back may be of somebody's own making, the world's above all: an answer to what they had got.
    return this.#held.take(from, way!, known) ?? this.#held.take(from, "out", known) ?? known;
  }
}

/** Queues of what a party has got, one for each way. */
class Queues<T> {
  readonly #queues = new Map<string, T[]>();

  add(party: string, way: Way, thing: T): void {
    const key = `${party} ${way}`;
    this.#queues.set(key, [...this.#queues.get(key) ?? [], thing]);
  }

  /** Takes this one, or the oldest where it is not said which. */
  take(party: string, way: Way, thing?: T): T | undefined {
    const queue = this.#queues.get(`${party} ${way}`) ?? [];
    const at = thing === undefined ? 0 : queue.indexOf(thing);
    return at < 0 ? undefined : queue.splice(at, 1)[0];
  }
}

/** The routers that a ping's packets pass on their way out, in order. */
export function pathOf(passages: readonly Passage[]): string[] {
  const routers = passages.filter(({ way, to }) => way === "out" && to !== PROXY && to !== WORLD);
  return [...new Set(routers.map(({ to }) => to))];
}
