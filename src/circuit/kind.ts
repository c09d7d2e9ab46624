/**
 * Circuit kinds. One engine builds and uses every circuit; a kind is a row of the table below.
 *
 * ```
 *   kind     built             outward                          homeward
 *   direct   no, one hop       packet unchanged                 packet unchanged
 *   plain    hop by hop        each hop replaces the source     each hop restores the address
 *                              with its own address             that it replaced
 *   sealed   hop by hop,       the proxy blanks the source,     the exit blanks the destination,
 *            a layer per hop   the exit replaces it             the proxy restores the client
 * ```
 *
 * The steps of building are the same for every kind that is built:
 *
 * ```
 *   proxy ── create ──► router A                          one cell over one link
 *   proxy ◄─ created ── router A
 *   proxy ── extend ──► router A ── create ──► router B   over the circuit so far
 *   proxy ◄─ extended ─ router A ◄─ created ── router B
 * ```
 *
 * @module
 */
import { MAX_PACKET, type PacketBuffer } from "../buffer/packet_buffer.ts";
import { CELL_HEADER, CellType } from "../cell/cell.ts";
import { LAYER_OVERHEAD } from "../crypto/layer.ts";
import { type IpAddress, UNSPECIFIED } from "../ip/address.ts";
import type { Ipv4View } from "../ip/ipv4.ts";
import { replaceAddress } from "../ip/rewrite.ts";
import type { DropReason } from "../trace/counters.ts";
import type { EventSink } from "../trace/events.ts";

/** The name of a kind. The stage table uses it. */
export type CircuitKindName = "direct" | "plain" | "sealed";

/**
 * A kind of circuit: its cells, the way it is built, and its treatment of packets. The functions
 * change packets in place.
 */
export interface CircuitKind {
  /** Carries a packet away from the proxy. */
  readonly relay: CellType;
  /** Carries a packet towards the proxy. */
  readonly back: CellType;
  /**
   * The cell types that a neighbour may send on a circuit of this kind. A router logs such a cell
   * if it has an unknown circuit id.
   */
  readonly cells: ReadonlySet<number>;
  /** Bytes that each hop adds to a cell. */
  readonly overhead: number;
  /** How it is built; undefined if both ends know the circuit from the start. */
  readonly building: Building | undefined;
  /** The proxy's treatment of packets. */
  readonly proxy: ProxySide;
  /** The last hop's treatment of packets. */
  readonly exit: ExitSide;
}

/** The part of a kind that only circuits of several hops have. */
export interface Building {
  /** Asks a neighbour to create a circuit. */
  readonly create: CellType;
  /** Answers {@linkcode Building.create}. */
  readonly created: CellType;
  /** Asks the last hop to create the circuit at a further router. */
  readonly extend: CellType;
  /** Answers {@linkcode Building.extend}. */
  readonly extended: CellType;
  /** Whether a handshake gives each hop a layer. */
  readonly hasLayers: boolean;
  /** The treatment of packets at every hop but the last. */
  readonly middle: MiddleSide;
}

/** What a kind does at the proxy. */
interface ProxySide {
  /**
   * Prepares a packet for the circuit.
   *
   * @param ip a view of the packet
   */
  outward(packet: PacketBuffer, ip: Ipv4View): void;
  /**
   * Prepares a reply for the host.
   *
   * @param ip a view of the packet
   * @param replyTo the circuit's reply address
   * @returns why the reply is dropped, or undefined
   */
  homeward(packet: PacketBuffer, ip: Ipv4View, replyTo: IpAddress): DropReason | undefined;
  /**
   * Logs a reply that the host has received.
   *
   * @param circuit the circuit's id
   * @param port the UDP port of the first hop
   */
  logReply(events: EventSink, ip: Ipv4View, circuit: number, port: number, now: number): void;
}

/** A circuit as one of its routers sees it. */
export interface Hop {
  /** The circuit's id on the link towards the proxy. */
  readonly incoming: number;
  /** Source of the last outbound packet; replies go to it. Unspecified before the first packet. */
  replyTo: IpAddress;
}

/** The parts of a router that a kind uses. */
export interface RouterContext {
  /** The router's address in the world; unspecified if it has none. */
  readonly address: IpAddress;
  /** Takes events for the log. */
  readonly events: EventSink;
  /** A view for the packet in hand. */
  readonly ip: Ipv4View;
}

/** What a kind does at a hop in the middle. */
interface MiddleSide {
  readonly outward: Forward;
  readonly homeward: Forward;
}

/**
 * Prepares a packet for the neighbour that it goes to.
 *
 * @param next the circuit's id on the link to the next hop
 * @returns why the packet is dropped, or undefined
 */
type Forward = (
  packet: PacketBuffer,
  hop: Hop,
  next: number,
  now: number,
  router: RouterContext,
) => DropReason | undefined;

/** What a kind does at the last hop. */
interface ExitSide {
  /**
   * Prepares a packet for the exit. The router's view already shows it, and it is whole.
   *
   * @param port the UDP port of the previous hop
   */
  outward(packet: PacketBuffer, hop: Hop, port: number, now: number, router: RouterContext): void;
  /**
   * Prepares a reply from the exit. The router's view does not show it yet.
   *
   * @param isFromWorld whether the reply came from the world, and not from the exit itself
   */
  homeward(packet: PacketBuffer, hop: Hop, isFromWorld: boolean, now: number, router: RouterContext): void;
}

const logBuilt: ProxySide["logReply"] = (events, ip, circuit, _port, now) =>
  events.incomingPacket(ip, circuit, now);

/** The last hop of a built circuit: packets leave with its own address. */
const REPLACING_EXIT: ExitSide = {
  outward(packet, hop, _port, now, { address, events, ip }) {
    hop.replyTo = ip.source;
    events.outgoingPacket(ip, hop.incoming, address, now);
    replaceAddress(packet, ip, "source", address);
  },
  homeward(packet, hop, isFromWorld, now, { address, events, ip }) {
    ip.wrap(packet);
    if (isFromWorld) events.packetFromWorld(ip, address, hop.incoming, now);
    replaceAddress(packet, ip, "destination", hop.replyTo);
  },
};

const { relayData, returnData, extend, extendDone, destroy } = CellType;

/** What kinds without layers have in common: every router on the path can read their cells. */
const CLEAR = {
  relay: relayData,
  back: returnData,
  cells: new Set<number>([relayData, returnData, extend, extendDone, destroy]),
  overhead: 0,
} as const;

const DIRECT: CircuitKind = {
  ...CLEAR,
  building: undefined,
  proxy: {
    outward() {},
    homeward: () => undefined,
    logReply(events, ip, _circuit, port, now) {
      if (ip.fragmentOffset === 0) events.icmpFromPort(ip, port, now);
    },
  },
  exit: {
    outward: (_packet, _hop, port, now, { events, ip }) => events.icmpFromPort(ip, port, now),
    homeward(packet, _hop, isFromWorld, now, { address, events, ip }) {
      if (!isFromWorld) return;
      ip.wrap(packet);
      events.icmpFromRawSocket(ip, address, now);
    },
  },
};

const PLAIN: CircuitKind = {
  ...CLEAR,
  building: {
    create: extend,
    created: extendDone,
    extend,
    extended: extendDone,
    hasLayers: false,
    middle: {
      outward(packet, hop, next, now, { address, events, ip }) {
        const fault = ip.wrap(packet);
        if (fault !== undefined) return fault;
        hop.replyTo = ip.source;
        events.relayPacket(ip, hop.incoming, next, address, now);
        replaceAddress(packet, ip, "source", address);
        return undefined;
      },
      homeward(packet, hop, next, now, { address, events, ip }) {
        const fault = ip.wrap(packet);
        if (fault !== undefined) return fault;
        if (ip.destination !== address) return "bad-destination";
        events.relayReply(ip, next, hop.incoming, hop.replyTo, now);
        replaceAddress(packet, ip, "destination", hop.replyTo);
        return undefined;
      },
    },
  },
  proxy: {
    outward() {},
    // A circuit must not reach any other address of the host.
    homeward: (_packet, ip, replyTo) => ip.destination === replyTo ? undefined : "bad-destination",
    logReply: logBuilt,
  },
  exit: REPLACING_EXIT,
};

const { relaySealed, returnSealed, sealedExtend, sealedExtendDone, handshake } = CellType;

const SEALED: CircuitKind = {
  relay: relaySealed,
  back: returnSealed,
  cells: new Set([relaySealed, returnSealed, sealedExtend, sealedExtendDone, destroy]),
  overhead: LAYER_OVERHEAD,
  building: {
    create: handshake,
    created: handshake,
    extend: sealedExtend,
    extended: sealedExtendDone,
    hasLayers: true,
    middle: {
      outward(packet, hop, next, now, { events }) {
        events.relaySealed(hop.incoming, next, packet.length, now);
        return undefined;
      },
      homeward(packet, hop, next, now, { events }) {
        events.relayReplySealed(next, hop.incoming, packet.length, now);
        return undefined;
      },
    },
  },
  proxy: {
    outward: (packet, ip) => replaceAddress(packet, ip, "source", UNSPECIFIED),
    homeward(packet, ip, replyTo) {
      replaceAddress(packet, ip, "destination", replyTo);
      return undefined;
    },
    logReply: logBuilt,
  },
  exit: REPLACING_EXIT,
};

/** All kinds by name. */
export const CIRCUIT_KINDS: Readonly<Record<CircuitKindName, CircuitKind>> = {
  direct: DIRECT,
  plain: PLAIN,
  sealed: SEALED,
};

/** Whether circuits of a kind are built, and not there from the start. */
export function isBuilt(kind: CircuitKindName): boolean {
  return CIRCUIT_KINDS[kind].building !== undefined;
}

/** Whether circuits of a kind have layers, so that routers need keys. */
export function hasLayers(kind: CircuitKindName): boolean {
  return CIRCUIT_KINDS[kind].building?.hasLayers ?? false;
}

/** The cell types that travel towards the proxy, of all kinds. */
const HOMEWARD: ReadonlySet<number> = new Set(
  Object.values(CIRCUIT_KINDS).flatMap(({ back, building }) =>
    building === undefined ? [back] : [back, building.created, building.extended]
  ),
);

/** Whether a cell of this type travels towards the proxy on circuits of some kind. */
export function isHomeward(type: number): boolean {
  return HOMEWARD.has(type);
}

/**
 * Bytes of the longest IP packet that a circuit carries. `linkMtu` is the length in bytes of the
 * longest IP packet that the links carry.
 *
 * - the link MTU, at most the maximum of an IPv4 length field
 * - minus 20 of the IPv4 header, and 8 of the UDP header
 * - minus 8 of the cell header
 * - minus the overhead of each hop: 8 of a counter and 16 of a tag if the circuit is sealed
 */
export function longestPacket(linkMtu: number, kind: CircuitKindName, hops: number): number {
  return Math.min(linkMtu, MAX_PACKET) - 20 - 8 - CELL_HEADER - hops * CIRCUIT_KINDS[kind].overhead;
}
