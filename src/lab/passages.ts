/**
 * Reads the captures of a run as a list of what passed from one party to another, in order. Pure.
 *
 * ```
 *   tunnel.pcapng, router3.world.pcapng   a packet passes   ┐ sorted by time, from one party
 *   proxy-router1.pcapng                  a cell passes     ┘ to another
 *   router1.inside.pcapng                 what the router could read of that cell
 * ```
 *
 * The sequence number of the echo tells which ping a passage belongs to. Sealed cells don't show
 * it, so they are followed instead: each party forwards, in each direction, what it received first.
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
  /** Length of the cell in bytes, or of the IP packet without a cell. */
  readonly bytes: number;
  /** The first of these bytes, at most {@linkcode FIRST_BYTES}, in hex. */
  readonly first: string;
  /** Away from ping or back to it; undefined for cells that build or end a circuit. */
  readonly way: Way | undefined;
  /** The cell; undefined in the tunnel and in the world, where packets are bare. */
  readonly cell: Cell | undefined;
  /** The packet, if every observer can read it. */
  readonly packet: Packet | undefined;
  /** Number of the ping that this belongs to, from 1. */
  readonly round: number | undefined;
  /** What the receiver can read; undefined if unknown. */
  readonly sight: Sight | undefined;
}

/** The direction of a packet, seen from ping. */
type Way = "out" | "back";

/** What a party sees once its own layer is removed: a packet, or bytes sealed for others. */
type Sight =
  | { readonly kind: "packet"; readonly packet: Packet }
  | { readonly kind: "sealed"; readonly bytes: number };

/** Bytes shown of each passage: the cell header and four bytes of the body. */
const FIRST_BYTES: number = CELL_HEADER + 4;

/** The direction of cells that carry packets. */
const WAYS: Readonly<Record<number, Way>> = {
  [CellType.relayData]: "out",
  [CellType.relaySealed]: "out",
  [CellType.returnData]: "back",
  [CellType.returnSealed]: "back",
};

/** Cells whose packet every observer can read. */
const PLAIN: readonly number[] = [CellType.relayData, CellType.returnData];

/** A passage whose round and sight are still unknown. */
type Draft = { -readonly [Key in keyof Passage]: Passage[Key] };

/** The passages of a run, from the contents of its capture files in any order. */
export function passages(items: Iterable<PcapngItem>): Passage[] {
  const all = [...items];
  const names = new Map(
    all.flatMap((item) => item.kind === "names" ? [[item.address, partyOf(item.names[0])] as const] : []),
  );
  const packets = all.filter((item) => item.kind === "packet");
  const follower = new Follower();
  for (const item of packets.toSorted((one, other) => one.timestamp - other.timestamp)) {
    const [, party, place] = /^(.*)\.(inside|world)$/.exec(item.on) ?? [];
    if (place === "inside") follower.sees(partyOf(party!), item);
    else {
      const passage = place === "world"
        ? bare(item, partyOf(party!), WORLD, Note.intoWorld)
        : item.on === "tunnel"
        ? bare(item, PING, PROXY, Note.fromHost)
        : onLink(item, names);
      if (passage !== undefined) follower.passes(passage);
    }
  }
  return follower.passages();
}

/** A packet without a cell. Its comment tells the direction. */
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

/** Follows passages in the order of time. */
class Follower {
  readonly #passages: Draft[] = [];
  /** Sealed cells that their receiver has not opened yet, by receiver and direction. */
  readonly #unseen = new Queues<Draft>();
  /** Rounds that a party has received and not forwarded, by party and direction. */
  readonly #held = new Queues<number>();
  /** The round of a sequence number. */
  readonly #rounds = new Map<number, number>();
  #lastRound = 0;

  /** A party receives something. */
  passes(passage: Draft): void {
    const { way, from, to, cell, packet } = passage;
    this.#passages.push(passage);
    if (way === undefined) return;
    passage.round = this.#roundOf(passage);
    if (passage.round !== undefined) this.#held.add(to, way, passage.round);
    if (packet !== undefined) passage.sight = { kind: "packet", packet };
    else if (cell !== undefined && to !== PROXY) this.#unseen.add(to, way, passage);
    // The proxy removes all layers, so the cell held what ping receives.
    if (from === PROXY && to === PING && packet !== undefined) {
      const last = this.#passages.findLast(({ to, round }) => to === PROXY && round === passage.round);
      if (last?.cell !== undefined) last.sight = { kind: "packet", packet };
    }
  }

  /**
   * A router opens a cell. Plain cells are known already, and a router's own answers came in no
   * cell.
   */
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
    // A reply may be the party's own answer to what it received.
    return this.#held.take(from, way!, known) ?? this.#held.take(from, "out", known) ?? known;
  }
}

/** Queues of what a party has received, one for each direction. */
class Queues<T> {
  readonly #queues: Record<string, T[]> = {};

  add(party: string, way: Way, thing: T): void {
    (this.#queues[`${party} ${way}`] ??= []).push(thing);
  }

  /** Removes the given item, or the oldest one without an argument. */
  take(party: string, way: Way, thing?: T): T | undefined {
    const queue = this.#queues[`${party} ${way}`] ?? [];
    const at = thing === undefined ? 0 : queue.indexOf(thing);
    return at < 0 ? undefined : queue.splice(at, 1)[0];
  }
}

/** The routers that a ping's packets pass on their way out, in order. */
export function pathOf(passages: readonly Passage[]): string[] {
  const routers = passages.filter(({ way, to }) => way === "out" && to !== PROXY && to !== WORLD);
  return [...new Set(routers.map(({ to }) => to))];
}
