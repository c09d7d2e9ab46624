/**
 * The onion router: between its neighbours and the exit.
 *
 * ```
 *                         ┌─ no circuit: begin one ─► answer
 *   previous ── cell ──► outward: peel ─┬─ it goes on: next
 *                                       ├─ extend: begin it at the next
 *                                       └─ it ends here: check, reassemble ──► exit
 *   previous ◄── seal ◄─┬─ homeward ◄── cell ── next
 *                       └─ fragment ◄── answer ──────────────────────────────── exit
 * ```
 *
 * On the way out each hop puts its own address in the place of the source, on the way back it puts the source that it
 * has seen in the place of the destination; where circuits are sealed, only the last one can. Given circuits, of one
 * hop, leave both as they are.
 *
 * A core without I/O: it is given bytes and the time, and hands results to its outbox.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import { CarryChecks } from "../carry/table.ts";
import { cellCircuit, CellType, cellType, isCell, unwrapCell, wrapCell } from "../cell/cell.ts";
import { readExtend, writeExtend } from "../cell/extend.ts";
import { type Dialect, PLAIN, SEALED } from "../circuit/dialect.ts";
import { type HopCircuit, type HopLimits, HopTable, type NextHop } from "../circuit/relay/hop_table.ts";
import { partyOf } from "../circuit/ids.ts";
import { PROLOGUE } from "../circuit/prologue.ts";
import { Layer } from "../crypto/layer.ts";
import { respond } from "../crypto/noise.ts";
import type { CryptoProvider, KeyPair } from "../crypto/provider.ts";
import { wipe } from "../crypto/wipe.ts";
import type { Deliver, Exit } from "./exit.ts";
import type { Trace } from "../trace/trace.ts";
import { type Endpoint, type IpAddress, UNSPECIFIED } from "../ip/address.ts";
import { fragmentIpv4, Ipv4View, type ProtocolName } from "../ip/ipv4.ts";
import { replaceAddress } from "../ip/rewrite.ts";
import { Reassembler } from "../ip/reassembly.ts";

/** A neighbour. */
export interface RouterNeighbour extends Endpoint {
  /** Whether circuits may be extended to it: the proxy is none. */
  readonly isRouter: boolean;
}

/** A circuit that both sides know of from the start. */
export interface GivenCircuit {
  /** The neighbour that it comes from, by its place. */
  readonly neighbour: number;
  /** Its id on that link, 1 to 2^32 - 1. */
  readonly id: number;
}

/** What a router needs to know. */
export interface RouterConfig {
  /** Its number, from 1. */
  readonly number: number;
  /** Its address in the world; undefined where it stays inside. */
  readonly address: IpAddress | undefined;
  /** in the order of the link. */
  readonly neighbours: readonly RouterNeighbour[];
  /** The circuits that are there from the start. */
  readonly given: readonly GivenCircuit[];
  /** Whether circuits may be begun, and in which dialect; only in that one. */
  readonly begins: "none" | "plain" | "sealed";
  /** The protocols that packets may have. */
  readonly carries: readonly ProtocolName[];
  /** Bytes of the longest packet that may be sent back. */
  readonly mtu: number;
  /** How many circuits there may be, and for how long. */
  readonly limits: HopLimits;
}

/** What sealed circuits are begun with. */
export interface RouterSecrets {
  /** What seals and peels. */
  readonly crypto: CryptoProvider;
  /** The router's static keys. */
  readonly keys: KeyPair;
}

/** Where the router's results go. What is handed over is used up or copied before the call returns. */
export interface RouterOutbox {
  /** A cell for the neighbour of this index. False when the link refused it. */
  toNeighbour(neighbour: number, cell: PacketBuffer): boolean;
}

/** The onion router's core. */
export class RouterCore {
  readonly #config: RouterConfig;
  readonly #dialect: Dialect;
  readonly #outbox: RouterOutbox;
  readonly #trace: Trace;
  readonly #secrets: RouterSecrets | undefined;
  readonly #table: HopTable;
  readonly #carries: CarryChecks;
  readonly #reassembler: Reassembler;
  readonly #ip = new Ipv4View();
  readonly #scratch = new PacketBuffer();
  readonly #exit: Exit;

  /**
   * A router that has just started.
   *
   * @param exit makes the exit, which delivers its answers with the function it is given
   * @param secrets needed where sealed circuits are begun
   */
  constructor(
    config: RouterConfig,
    outbox: RouterOutbox,
    trace: Trace,
    exit: (deliver: Deliver) => Exit,
    secrets?: RouterSecrets,
  ) {
    this.#config = config;
    this.#dialect = config.begins === "sealed" ? SEALED : PLAIN;
    this.#outbox = outbox;
    this.#trace = trace;
    this.#secrets = secrets;
    this.#table = new HopTable(config.number, config.neighbours.length, config.limits);
    for (const { neighbour, id } of config.given) this.#table.add(neighbour, id, true, undefined, 0);
    this.#carries = new CarryChecks(config.carries);
    this.#reassembler = new Reassembler((reason) => trace.counters.count(reason));
    this.#exit = exit((circuit, packet, isFromWorld, now) =>
      this.#fromExit(circuit, packet, isFromWorld, now)
    );
  }

  /** Circuits at present. */
  get circuits(): number {
    return this.#table.size;
  }

  /** When {@linkcode RouterCore.expire} next has something to do, in ms. */
  get deadline(): number {
    return Math.min(this.#reassembler.deadline, this.#exit.deadline, this.#table.deadline);
  }

  /** Gives up what has waited too long. */
  expire(now: number): void {
    this.#reassembler.expire(now);
    if (this.#exit.deadline <= now) this.#exit.expire(now);
    this.#table.expire(now);
  }

  /** A datagram came from the neighbour of this index. The buffer is used up. */
  fromLink(neighbour: number, cell: PacketBuffer, now: number): void {
    const { counters } = this.#trace;
    counters.count("link-in");
    if (!isCell(cell)) return counters.count("bad-cell");
    const type = cellType(cell) as CellType;
    const id = cellCircuit(cell);
    const outward = this.#table.incoming(neighbour, id);
    if (outward !== undefined) return this.#outward(outward, cell, type, now);
    const homeward = this.#table.outgoing(neighbour, id);
    if (homeward !== undefined) {
      return this.#homeward(homeward, homeward.next!, cell, type, now);
    }
    if (this.#config.begins !== "none" && type === this.#dialect.begin) {
      return this.#begin(neighbour, id, cell, now);
    }
    this.#unknown(neighbour, id, cell, type, now);
  }

  /** A neighbour nearer to the proxy begins a circuit here. */
  #begin(neighbour: number, id: number, cell: PacketBuffer, now: number): void {
    const { counters } = this.#trace;
    if (this.#table.isFull) return counters.count("circuits-full");
    // Ids with our number are ours to choose.
    if (partyOf(id) === this.#config.number) return counters.count("bad-extend");
    unwrapCell(cell);
    if (this.#secrets === undefined) {
      if (cell.length > 0) return counters.count("bad-extend");
      this.#table.add(neighbour, id, false, undefined, now);
      return this.#sendCell(neighbour, cell, this.#dialect.begun, id);
    }
    const { crypto, keys } = this.#secrets;
    const response = respond(crypto, { keys, prologue: PROLOGUE }, cell.copy());
    if (response === undefined) return counters.count("bad-handshake");
    this.#table.add(neighbour, id, false, new Layer(crypto, response), now);
    wipe(response.send, response.receive);
    cell.load(response.message);
    this.#sendCell(neighbour, cell, this.#dialect.begun, id);
  }

  /** A cell on its way away from the proxy. */
  #outward(circuit: HopCircuit, cell: PacketBuffer, type: CellType, now: number): void {
    const { counters } = this.#trace;
    const { relay, extend } = this.#dialect;
    if (type !== relay && (circuit.isGiven || (type !== extend && type !== CellType.destroy))) {
      return counters.count("unexpected-cell");
    }
    unwrapCell(cell);
    const fault = circuit.layer?.peel(cell, type);
    if (fault !== undefined) return counters.count(fault);
    circuit.usedAt = now;
    const { next } = circuit;
    switch (type) {
      case relay:
        this.#trace.tap?.inside(
          "out",
          circuit.incoming,
          cell,
          next === undefined || circuit.layer === undefined,
        );
        if (next === undefined) return this.#toExit(circuit, cell, now);
        if (!next.isOpen) return counters.count("unexpected-cell");
        return this.#relay(circuit, next, cell, now);
      case extend:
        if (next === undefined) return this.#extend(circuit, cell, now);
        if (!next.isOpen) return counters.count("bad-extend");
        this.#trace.events.forwardExtend(circuit.incoming, next.id, this.#portOf(next.neighbour), now);
        return this.#sendCell(next.neighbour, cell, type, next.id);
      case CellType.destroy:
        if (next !== undefined) this.#sendCell(next.neighbour, cell, type, next.id);
        return this.#table.remove(circuit);
    }
  }

  /** A cell on its way towards the proxy. */
  #homeward(circuit: HopCircuit, next: NextHop, cell: PacketBuffer, type: CellType, now: number): void {
    const { counters, events } = this.#trace;
    const { begun, extended, back } = this.#dialect;
    if (!next.isOpen) {
      if (type !== begun) return counters.count("unexpected-cell");
      unwrapCell(cell);
      // In the clear, the answer says who has answered: a cell that came twice would else pass for the next hop's.
      if (circuit.layer === undefined) {
        if (cell.length > 0) return counters.count("unexpected-cell");
        writeExtend(cell, this.#config.neighbours[next.neighbour]!, new Uint8Array());
      }
      next.isOpen = true;
      return this.#sendBack(circuit, cell, extended);
    }
    if (type !== extended && type !== back) return counters.count("unexpected-cell");
    unwrapCell(cell);
    if (type === back && circuit.layer === undefined) {
      const ip = this.#ip;
      const fault = ip.wrap(cell);
      if (fault !== undefined) return counters.count(fault);
      if (ip.destination !== this.#config.address) return counters.count("bad-destination");
      events.relayReply(ip, next.id, circuit.incoming, circuit.source, now);
      replaceAddress(cell, ip, "destination", circuit.source);
    } else if (type === back) {
      events.relayReplySealed(next.id, circuit.incoming, cell.length, now);
    }
    if (type === back) this.#trace.tap?.inside("back", circuit.incoming, cell, circuit.layer === undefined);
    this.#sendBack(circuit, cell, type);
  }

  #extend(circuit: HopCircuit, cell: PacketBuffer, now: number): void {
    const { counters, events } = this.#trace;
    const to = readExtend(cell);
    // Begun once more: the answer may have been lost.
    if (to === undefined && cell.length === 0 && circuit.layer === undefined) {
      return this.#sendCell(circuit.previous, cell, this.#dialect.begun, circuit.incoming);
    }
    const neighbour = this.#config.neighbours.findIndex(({ isRouter, address, port }) =>
      isRouter && address === to?.address && port === to?.port
    );
    if (neighbour < 0 || neighbour === circuit.previous) return counters.count("bad-extend");
    const next = this.#table.extend(circuit, neighbour);
    events.newExtend(circuit.incoming, next.id, this.#portOf(neighbour), now);
    this.#sendCell(neighbour, cell, this.#dialect.begin, next.id);
  }

  #relay(circuit: HopCircuit, next: NextHop, cell: PacketBuffer, now: number): void {
    const { counters, events } = this.#trace;
    if (circuit.layer === undefined) {
      const ip = this.#ip;
      const fault = ip.wrap(cell);
      if (fault !== undefined) return counters.count(fault);
      const { address = UNSPECIFIED } = this.#config;
      circuit.source = ip.source;
      events.relayPacket(ip, circuit.incoming, next.id, address, now);
      replaceAddress(cell, ip, "source", address);
    } else events.relaySealed(circuit.incoming, next.id, cell.length, now);
    this.#sendCell(next.neighbour, cell, this.#dialect.relay, next.id);
  }

  #toExit(circuit: HopCircuit, cell: PacketBuffer, now: number): void {
    const { counters, events } = this.#trace;
    const ip = this.#ip;
    const fault = ip.wrap(cell);
    if (fault !== undefined) return counters.count(fault);
    if (!this.#carries.has(ip.protocol)) return counters.count("not-carried");
    let packet = cell;
    if (ip.isFragment) {
      const whole = this.#reassembler.add(cell, ip, now, circuit.handle);
      if (whole === undefined) return;
      packet = whole;
      ip.wrap(packet);
    }
    const refusal = this.#carries.outward(packet, ip);
    if (refusal !== undefined) return counters.count(refusal);
    if (circuit.isGiven) {
      events.icmpFromPort(ip, this.#portOf(circuit.previous), now);
    } else {
      const { address = UNSPECIFIED } = this.#config;
      circuit.source = ip.source;
      events.outgoingPacket(ip, circuit.incoming, address, now);
      replaceAddress(packet, ip, "source", address);
    }
    this.#exit.send(circuit.handle, packet, ip, now);
  }

  #fromExit(handle: number, packet: PacketBuffer, isFromWorld: boolean, now: number): void {
    const { counters, events } = this.#trace;
    const circuit = this.#table.byHandle(handle);
    if (circuit === undefined) return counters.count("unknown-circuit");
    const ip = this.#ip;
    // What goes back as it is needs no look at it.
    if (isFromWorld || !circuit.isGiven) ip.wrap(packet);
    const { address = UNSPECIFIED } = this.#config;
    if (isFromWorld && circuit.isGiven) {
      events.icmpFromRawSocket(ip, address, now);
    } else if (isFromWorld) {
      events.packetFromWorld(ip, address, circuit.incoming, now);
    }
    if (!circuit.isGiven) replaceAddress(packet, ip, "destination", circuit.source);
    this.#trace.tap?.inside("back", circuit.incoming, packet, true);
    const { back } = this.#dialect;
    if (packet.length <= this.#config.mtu) return this.#sendBack(circuit, packet, back);
    fragmentIpv4(packet, this.#config.mtu, () => {
      // In a buffer of its own, for a tag would be written over what is still to be cut.
      this.#scratch.hold(packet.length);
      this.#scratch.bytes.set(packet.bytes.subarray(packet.start, packet.end), this.#scratch.start);
      this.#sendBack(circuit, this.#scratch, back);
    });
  }

  /** Sends a body towards the proxy, in this hop's layer. */
  #sendBack(circuit: HopCircuit, body: PacketBuffer, type: CellType): void {
    if (circuit.layer?.seal(body, type) === false) return this.#trace.counters.count("worn-out");
    this.#sendCell(circuit.previous, body, type, circuit.incoming);
  }

  #sendCell(neighbour: number, body: PacketBuffer, type: CellType, id: number): void {
    wrapCell(body, type, id);
    if (this.#outbox.toNeighbour(neighbour, body)) this.#trace.counters.count("link-out");
    else this.#trace.counters.count("link-refused");
  }

  #portOf(neighbour: number): number {
    return this.#config.neighbours[neighbour]!.port;
  }

  /** A cell of no circuit. Whose packet it carries is told where everybody can read it. */
  #unknown(neighbour: number, id: number, cell: PacketBuffer, type: CellType, now: number): void {
    const { counters, events } = this.#trace;
    const { relay, back, extend, extended } = this.#dialect;
    if (
      type !== relay && type !== back && type !== extend && type !== extended && type !== CellType.destroy
    ) {
      return counters.count("unexpected-cell");
    }
    unwrapCell(cell);
    const isReadable = (type === CellType.relayData || type === CellType.returnData) &&
      this.#ip.wrap(cell) === undefined;
    events.unknownCircuit(id, this.#portOf(neighbour), isReadable ? this.#ip : undefined, now);
    counters.count("unknown-circuit");
  }
}
