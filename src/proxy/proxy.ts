/**
 * The onion proxy: between the TUN interface and the onion routers.
 *
 * ```
 *   host ── TUN ──► fromTun ──► check ──► cell ──► toRouter
 *   host ◄─ TUN ─── toTun ◄──── check ◄── cell ◄── fromLink
 * ```
 *
 * A core without I/O: it is given bytes and the time, and hands results to its outbox.
 *
 * @module
 */
import { MAX_PACKET, PacketBuffer } from "../bytes/packet_buffer.ts";
import { CELL_HEADER, cellCircuit, CellType, cellType, isCell, unwrapCell, wrapCell } from "../cell/cell.ts";
import { EventKind } from "../trace/events.ts";
import type { Trace } from "../trace/trace.ts";
import { icmpFault, IcmpType, icmpType, isReport, Unreachable } from "../wire/icmp.ts";
import { mayCauseError, writeIcmpError } from "../wire/icmp_error.ts";
import { fragmentIpv4, Ipv4View, isHostAddress, Protocol } from "../wire/ipv4.ts";

/** The longest packet that one cell carries, in bytes: the longest UDP payload over IPv4, less the cell's header. */
export const MAX_CELL_PACKET: number = MAX_PACKET - 20 /* IPv4 */ - 8 /* UDP */ - CELL_HEADER;

/** A router that the proxy sends to. */
export interface ProxyNeighbour {
  /** Its UDP port, as the logs name it. */
  readonly port: number;
  /** The circuit that leads to it, 1 to 2^32 - 1. */
  readonly circuit: number;
}

/** Where the proxy's results go. What is handed over is used up or copied before the call returns. */
export interface ProxyOutbox {
  /** An IP packet for the host. False when the interface refused it. */
  toTun(packet: PacketBuffer): boolean;
  /** A cell for the neighbour of this index. False when the link refused it. */
  toRouter(neighbour: number, cell: PacketBuffer): boolean;
}

/** What a proxy needs to know. */
export interface ProxyConfig {
  /** The neighbours, in the order of the link's peers. */
  readonly routers: readonly ProxyNeighbour[];
  /**
   * Who tells the host that a packet is not carried, an address of the tunnel's block but not the host's own.
   * Absent where such packets are dropped without a word.
   */
  readonly refuseAs?: number;
}

/** What the host is told of packets that are not carried. */
const REFUSALS = {
  "not-carried": { type: IcmpType.destinationUnreachable, code: Unreachable.administrativelyProhibited },
  "not-echo-request": { type: IcmpType.destinationUnreachable, code: Unreachable.administrativelyProhibited },
  "too-long": {
    type: IcmpType.destinationUnreachable,
    code: Unreachable.fragmentationNeeded,
    mtu: MAX_CELL_PACKET,
  },
} as const;

/** The onion proxy's core. */
export class ProxyCore {
  readonly #routers: readonly ProxyNeighbour[];
  readonly #refuseAs: number | undefined;
  readonly #outbox: ProxyOutbox;
  readonly #trace: Trace;
  readonly #ip = new Ipv4View();
  readonly #scratch = new PacketBuffer();

  /** A proxy that has just started. */
  constructor(config: ProxyConfig, outbox: ProxyOutbox, trace: Trace) {
    this.#routers = config.routers;
    this.#refuseAs = config.refuseAs;
    this.#outbox = outbox;
    this.#trace = trace;
  }

  /** A packet came out of the TUN interface. The buffer is used up. */
  fromTun(packet: PacketBuffer): void {
    const { counters, events } = this.#trace;
    const ip = this.#ip;
    counters.count("tun-in");
    const fault = ip.wrap(packet);
    if (fault !== undefined) return counters.count(fault);
    if (!isHostAddress(ip.source)) return counters.count("bad-source");
    if (ip.protocol !== Protocol.icmp) return this.#refuse("not-carried", packet);
    if (ip.fragmentOffset === 0) {
      const icmp = icmpFault(packet.view, ip.payload, ip.end, !ip.isFragment);
      if (icmp !== undefined) return counters.count(icmp);
      const type = icmpType(packet.view, ip.payload);
      if (type !== IcmpType.echoRequest) return this.#refuse("not-echo-request", packet);
      events.emit(EventKind.icmpFromTunnel, ip.source, ip.destination, type, 0);
    }
    // Where nobody can tell the host, the tunnel cuts the packet for itself: the exit puts it together again.
    if (packet.length > MAX_CELL_PACKET && ip.dontFragment && this.#refuseAs !== undefined) {
      return this.#refuse("too-long", packet);
    }
    if (packet.length <= MAX_CELL_PACKET) this.#sendToRouter(packet);
    else fragmentIpv4(packet, MAX_CELL_PACKET, () => this.#sendToRouter(packet));
  }

  /** A datagram came from the neighbour of this index. The buffer is used up. */
  fromLink(neighbour: number, cell: PacketBuffer): void {
    const { counters, events } = this.#trace;
    const ip = this.#ip;
    const router = this.#routers[neighbour]!;
    counters.count("link-in");
    if (!isCell(cell)) return counters.count("bad-cell");
    if (cellType(cell) !== CellType.returnData) return counters.count("unexpected-cell");
    if (cellCircuit(cell) !== router.circuit) {
      events.emit(EventKind.unknownCircuit, 0, 0, cellCircuit(cell), router.port);
      return counters.count("unknown-circuit");
    }
    unwrapCell(cell);
    const fault = ip.wrap(cell);
    if (fault !== undefined) return counters.count(fault);
    if (ip.protocol !== Protocol.icmp) return counters.count("not-carried");
    if (ip.fragmentOffset === 0) {
      const icmp = icmpFault(cell.view, ip.payload, ip.end, !ip.isFragment);
      if (icmp !== undefined) return counters.count(icmp);
      const type = icmpType(cell.view, ip.payload);
      if (type !== IcmpType.echoReply && !isReport(type)) return counters.count("not-a-reply");
      events.emit(EventKind.icmpFromPort, ip.source, ip.destination, type, router.port);
    }
    counters.count(this.#outbox.toTun(cell) ? "tun-out" : "tun-refused");
  }

  /** Counts a packet that is not carried and says so to the host, which would otherwise wait for an answer. */
  #refuse(reason: keyof typeof REFUSALS, packet: PacketBuffer): void {
    const { counters } = this.#trace;
    counters.count(reason);
    if (this.#refuseAs === undefined || !mayCauseError(packet, this.#ip)) return;
    writeIcmpError(this.#scratch, REFUSALS[reason], packet, this.#ip, this.#refuseAs);
    counters.count(this.#outbox.toTun(this.#scratch) ? "tun-out" : "tun-refused");
  }

  #sendToRouter(packet: PacketBuffer): void {
    const neighbour = 0;
    const start = packet.start;
    wrapCell(packet, CellType.relayData, this.#routers[neighbour]!.circuit);
    const sent = this.#outbox.toRouter(neighbour, packet);
    packet.start = start;
    this.#trace.counters.count(sent ? "link-out" : "link-refused");
  }
}
