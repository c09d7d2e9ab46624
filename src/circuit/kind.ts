/**
 * Circuit kinds. One engine builds and uses all circuits; what differs between kinds is a row of this table.
 *
 * ```
 *            built            outward                            homeward
 *   direct   no, one hop      packets stay as they are           packets stay as they are
 *   plain    hop by hop       each hop puts its own address      each hop restores the source that it
 *                             in place of the source             has replaced, as the destination
 *   sealed   hop by hop,      the proxy blanks the source,       the exit sends to the blank address,
 *            one layer each   the exit puts its own there        the proxy restores the client
 * ```
 *
 * Building goes the same way for every kind that is built:
 *
 * ```
 *   proxy ── create ──► router A                          one cell over one link
 *   proxy ◄─ created ── router A
 *   proxy ── extend ──► router A ── create ──► router B   relayed by the circuit so far
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

/** The name of a kind, as the stage table has it. */
export type CircuitKindName = "direct" | "plain" | "sealed";

/** A kind of circuit: its cells, how it is built, and what it does to packets. All functions work in place. */
export interface CircuitKind {
  /** The cell that carries a packet away from the proxy. */
  readonly relay: CellType;
  /** The cell that carries a packet towards the proxy. */
  readonly back: CellType;
  /** Every type that a neighbour may send by such a circuit. Stray cells of these types are logged. */
  readonly cells: ReadonlySet<number>;
  /** Bytes that each hop adds to a cell. */
  readonly overhead: number;
  /** How it is built; undefined for circuits of one hop that both ends know from the start. */
  readonly building: Building | undefined;
  /** What the proxy does. */
  readonly proxy: ProxySide;
  /** What the last hop does. */
  readonly exit: ExitSide;
}

/** The cells that build a circuit, and what its hops in between do. */
export interface Building {
  /** Asks a neighbour for a circuit. */
  readonly create: CellType;
  /** Answers {@linkcode Building.create}. */
  readonly created: CellType;
  /** Asks the last hop to create the circuit at the next one. */
  readonly extend: CellType;
  /** Answers {@linkcode Building.extend}. */
  readonly extended: CellType;
  /** Whether each hop gets a layer of its own, by a handshake. */
  readonly hasLayers: boolean;
  /** What a hop that is not the last one does. */
  readonly middle: MiddleSide;
}

/** What a kind does to packets at the proxy. */
export interface ProxySide {
  /** Prepares a packet for the circuit. */
  outward(packet: PacketBuffer, ip: Ipv4View): void;
  /**
   * Prepares an answer for the host.
   *
   * @param ip shows the packet
   * @param replyTo the circuit's reply address
   * @returns why the answer is dropped, or undefined
   */
  homeward(packet: PacketBuffer, ip: Ipv4View, replyTo: IpAddress): DropReason | undefined;
  /**
   * Logs an answer that the host has got.
   *
   * @param circuit the circuit's id
   * @param port of the first hop's data link
   */
  logAnswer(events: EventSink, ip: Ipv4View, circuit: number, port: number, now: number): void;
}

/** A circuit as one of its routers sees it. */
export interface Hop {
  /** The circuit's id on the link towards the proxy. */
  readonly incoming: number;
  /** Source of the last outbound packet: replies go to it. {@linkcode UNSPECIFIED} before the first. */
  replyTo: IpAddress;
}

/** What a router lends to the functions below, made once. */
export interface RouterContext {
  /** The router's address in the world. */
  readonly address: IpAddress;
  readonly events: EventSink;
  /** Any packet's view; a function that needs it wraps the packet itself unless told otherwise. */
  readonly ip: Ipv4View;
}

/** What a kind does to packets at a hop that is not the last one. Both functions return why a packet is dropped. */
export interface MiddleSide {
  /** @param next the circuit's id on the link to the next hop */
  outward(
    packet: PacketBuffer,
    hop: Hop,
    next: number,
    now: number,
    router: RouterContext,
  ): DropReason | undefined;
  /** @param next the circuit's id on the link to the next hop */
  homeward(
    packet: PacketBuffer,
    hop: Hop,
    next: number,
    now: number,
    router: RouterContext,
  ): DropReason | undefined;
}

/** What a kind does to packets at the last hop. */
export interface ExitSide {
  /**
   * Prepares a packet, whole and shown by the router's view, for the exit.
   *
   * @param port of the previous hop's data link
   */
  outward(packet: PacketBuffer, hop: Hop, port: number, now: number, router: RouterContext): void;
  /**
   * Prepares an answer of the exit.
   *
   * @param isFromWorld whether it came from the world, and was not made by the exit itself
   */
  homeward(packet: PacketBuffer, hop: Hop, isFromWorld: boolean, now: number, router: RouterContext): void;
}

const logBuilt: ProxySide["logAnswer"] = (events, ip, circuit, _port, now) =>
  events.incomingPacket(ip, circuit, now);

/** What the exits of built circuits do: each packet leaves with the router's own address. */
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

/** Cells whose body everybody on the way can read. */
const CLEAR_CELLS: ReadonlySet<number> = new Set([
  CellType.relayData,
  CellType.returnData,
  CellType.extend,
  CellType.extendDone,
  CellType.destroy,
]);

const DIRECT: CircuitKind = {
  relay: CellType.relayData,
  back: CellType.returnData,
  cells: CLEAR_CELLS,
  overhead: 0,
  building: undefined,
  proxy: {
    outward() {},
    homeward: () => undefined,
    logAnswer(events, ip, _circuit, port, now) {
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
  relay: CellType.relayData,
  back: CellType.returnData,
  cells: CLEAR_CELLS,
  overhead: 0,
  building: {
    create: CellType.extend,
    created: CellType.extendDone,
    extend: CellType.extend,
    extended: CellType.extendDone,
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
    // Only the circuit's own client on this host gets answers from it.
    homeward: (_packet, ip, replyTo) => ip.destination === replyTo ? undefined : "bad-destination",
    logAnswer: logBuilt,
  },
  exit: REPLACING_EXIT,
};

const SEALED: CircuitKind = {
  relay: CellType.relaySealed,
  back: CellType.returnSealed,
  cells: new Set([
    CellType.relaySealed,
    CellType.returnSealed,
    CellType.sealedExtend,
    CellType.sealedExtendDone,
    CellType.destroy,
  ]),
  overhead: LAYER_OVERHEAD,
  building: {
    create: CellType.handshake,
    created: CellType.handshake,
    extend: CellType.sealedExtend,
    extended: CellType.sealedExtendDone,
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
    logAnswer: logBuilt,
  },
  exit: REPLACING_EXIT,
};

/** Every kind by its name. */
export const CIRCUIT_KINDS: Readonly<Record<CircuitKindName, CircuitKind>> = {
  direct: DIRECT,
  plain: PLAIN,
  sealed: SEALED,
};

/** Types of cells that travel towards a proxy, of every kind. */
const HOMEWARD: ReadonlySet<number> = new Set(
  Object.values(CIRCUIT_KINDS).flatMap(({ back, building }) =>
    building === undefined ? [back] : [back, building.created, building.extended]
  ),
);

/** Whether cells of this type may come to a proxy by a circuit of any kind. */
export function isHomeward(type: number): boolean {
  return HOMEWARD.has(type);
}

/**
 * Bytes of the longest IP packet that a circuit carries, over links that take IP packets of `linkMtu` bytes:
 *
 * - the link's MTU, at most what an IPv4 length field holds
 * - less 20 of the IPv4 header, and 8 of the UDP header
 * - less 8 of the cell's header
 * - less what each hop adds: for a sealed circuit 8 of its counter and 16 of its tag
 */
export function longestPacket(linkMtu: number, kind: CircuitKindName, hops: number): number {
  return Math.min(linkMtu, MAX_PACKET) - 20 - 8 - CELL_HEADER - hops * CIRCUIT_KINDS[kind].overhead;
}
