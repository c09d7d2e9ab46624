/**
 * The onion router: between its neighbours and the exit.
 *
 * ```
 *   neighbour ──► fromLink ──► check, reassemble ──► exit
 *   neighbour ◄── toNeighbour ◄── cell, fragment ◄── fromExit
 * ```
 *
 * A core without I/O: it is given bytes and the time, and hands results to its outbox.
 *
 * @module
 */
import type { PacketBuffer } from "../bytes/packet_buffer.ts";
import { cellCircuit, CellType, cellType, isCell, unwrapCell, wrapCell } from "../cell/cell.ts";
import type { Exit } from "../exit/exit.ts";
import { EventKind } from "../trace/events.ts";
import type { Trace } from "../trace/trace.ts";
import { icmpFault, icmpType } from "../wire/icmp.ts";
import { fragmentIpv4, Ipv4View, Protocol } from "../wire/ipv4.ts";
import { Reassembler } from "../wire/reassembly.ts";

/** The neighbour towards the proxy. */
export interface RouterNeighbour {
  /** Its UDP port, as the logs name it. */
  readonly port: number;
  /** The circuit that it sends on, 1 to 2^32 - 1. */
  readonly circuit: number;
}

/** Where the router's results go. What is handed over is used up or copied before the call returns. */
export interface RouterOutbox {
  /** A cell for the neighbour of this index. False when the link refused it. */
  toNeighbour(neighbour: number, cell: PacketBuffer): boolean;
}

/** The onion router's core. */
export class RouterCore {
  readonly #neighbours: readonly RouterNeighbour[];
  readonly #mtu: number;
  readonly #outbox: RouterOutbox;
  readonly #trace: Trace;
  readonly #reassembler: Reassembler;
  readonly #ip = new Ipv4View();
  readonly #exit: Exit;

  /**
   * A router that has just started.
   *
   * @param neighbours in the order of the link's peers
   * @param mtu bytes of the longest packet that may be sent back: the TUN's MTU
   * @param exit makes the exit, which delivers its answers with the function it is given
   */
  constructor(
    neighbours: readonly RouterNeighbour[],
    mtu: number,
    outbox: RouterOutbox,
    trace: Trace,
    exit: (deliver: (circuit: number, packet: PacketBuffer) => void) => Exit,
  ) {
    this.#neighbours = neighbours;
    this.#mtu = mtu;
    this.#outbox = outbox;
    this.#trace = trace;
    this.#reassembler = new Reassembler((reason) => trace.counters.count(reason));
    this.#exit = exit((circuit, packet) => this.#fromExit(circuit, packet));
  }

  /** When {@linkcode RouterCore.expire} next has something to do, in ms. */
  get deadline(): number {
    return Math.min(this.#reassembler.deadline, this.#exit.deadline);
  }

  /** Gives up what has waited too long. */
  expire(now: number): void {
    this.#reassembler.expire(now);
    if (this.#exit.deadline <= now) this.#exit.expire(now);
  }

  /** A datagram came from the neighbour of this index. The buffer is used up. */
  fromLink(neighbour: number, cell: PacketBuffer, now: number): void {
    const { counters, events } = this.#trace;
    const { port, circuit } = this.#neighbours[neighbour]!;
    counters.count("link-in");
    if (!isCell(cell)) return counters.count("bad-cell");
    if (cellType(cell) !== CellType.relayData) return counters.count("unexpected-cell");
    if (cellCircuit(cell) !== circuit) {
      events.emit(EventKind.unknownCircuit, 0, 0, cellCircuit(cell), port);
      return counters.count("unknown-circuit");
    }
    unwrapCell(cell);
    const ip = this.#ip;
    const fault = ip.wrap(cell);
    if (fault !== undefined) return counters.count(fault);
    if (ip.protocol !== Protocol.icmp) return counters.count("not-carried");
    let packet = cell;
    if (ip.isFragment) {
      const whole = this.#reassembler.add(cell, ip, now);
      if (whole === undefined) return;
      packet = whole;
      ip.wrap(packet);
    }
    const icmp = icmpFault(packet.view, ip.payload, ip.end);
    if (icmp !== undefined) return counters.count(icmp);
    events.emit(EventKind.icmpFromPort, ip.source, ip.destination, icmpType(packet.view, ip.payload), port);
    this.#exit.send(circuit, packet, ip, now);
  }

  #fromExit(circuit: number, packet: PacketBuffer): void {
    if (packet.length <= this.#mtu) this.#sendBack(circuit, packet);
    else fragmentIpv4(packet, this.#mtu, () => this.#sendBack(circuit, packet));
  }

  #sendBack(circuit: number, packet: PacketBuffer): void {
    const start = packet.start;
    wrapCell(packet, CellType.returnData, circuit);
    const sent = this.#outbox.toNeighbour(0, packet);
    packet.start = start;
    this.#trace.counters.count(sent ? "link-out" : "link-refused");
  }
}
