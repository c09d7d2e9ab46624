/**
 * The onion router: forwards cells between its neighbours, and packets to and from its exit.
 *
 * ```
 *                         ┌─ new circuit: create ─► created
 *   previous ── cell ──► outward: peel ─┬─ there is a next hop ──► next
 *                                       ├─ extend ──► create at the next hop
 *                                       └─ last hop: reassemble, check ──► exit
 *   previous ◄── seal ◄─┬─ homeward ◄── cell ── next
 *                       └─ fragment ◄── reply ───────────────────────── exit
 * ```
 *
 * The kind of circuit says what the router does to a packet: see `circuit/kind.ts`.
 *
 * A core without I/O: it takes bytes and the time, and hands its results to an outbox.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import { CarryChecks } from "../carry/table.ts";
import { cellCircuit, CellType, cellType, isCell, unwrapCell, wrapCell } from "../cell/cell.ts";
import { readExtend, writeExtend } from "../cell/extend.ts";
import { directId, partyOf } from "../circuit/ids.ts";
import {
  type Building,
  CIRCUIT_KINDS,
  type CircuitKind,
  type CircuitKindName,
  type RouterContext,
} from "../circuit/kind.ts";
import { PROLOGUE } from "../circuit/prologue.ts";
import { type HopCircuit, type HopLimits, HopTable, type NextHop } from "../circuit/relay/hop_table.ts";
import { Layer } from "../crypto/layer.ts";
import { respond } from "../crypto/noise.ts";
import type { CryptoProvider, KeyPair } from "../crypto/provider.ts";
import { wipe } from "../crypto/wipe.ts";
import type { Deliver, Exit } from "./exit.ts";
import type { Trace } from "../trace/trace.ts";
import { type Endpoint, type IpAddress, UNSPECIFIED } from "../ip/address.ts";
import { fragmentIpv4, Ipv4View, type ProtocolName } from "../ip/ipv4.ts";
import { Reassembler } from "../ip/reassembly.ts";

/** A neighbour of a router. */
interface RouterNeighbour extends Endpoint {
  /** Whether it is a router, so that circuits may be extended to it, and not the proxy. */
  readonly isRouter: boolean;
}

/** The configuration of a router. */
export interface RouterConfig {
  /** Its number, from 1. */
  readonly number: number;
  /** Its address in the world; undefined if its packets stay inside. */
  readonly address: IpAddress | undefined;
  /** The neighbours, in the order of the link. */
  readonly neighbours: readonly RouterNeighbour[];
  /** The kind of all circuits. */
  readonly circuits: CircuitKindName;
  /** The protocols that packets may have. */
  readonly carries: readonly ProtocolName[];
  /** Length in bytes of the longest packet that may travel back. */
  readonly mtu: number;
  /** Limits of the circuits. */
  readonly limits: HopLimits;
}

/** What a router needs to create circuits with layers. */
export interface RouterSecrets {
  /** Seals and peels. */
  readonly crypto: CryptoProvider;
  /** The router's static keys. */
  readonly keys: KeyPair;
}

/** Takes the router's results. A method uses its buffer up, or copies it, before it returns. */
interface RouterOutbox {
  /** Sends a cell to the neighbour with this index. Returns false if the link refuses it. */
  toNeighbour(neighbour: number, cell: PacketBuffer): boolean;
}

/** The onion router's core. */
export class RouterCore {
  readonly #config: RouterConfig;
  readonly #kind: CircuitKind;
  readonly #outbox: RouterOutbox;
  readonly #trace: Trace;
  readonly #secrets: RouterSecrets | undefined;
  readonly #table: HopTable;
  readonly #neighbours: RouterNeighbour[];
  /** The indices of neighbours that are lost. */
  readonly #lost = new Set<number>();
  readonly #carries: CarryChecks;
  readonly #reassembler: Reassembler;
  readonly #ip = new Ipv4View();
  readonly #context: RouterContext;
  readonly #scratch = new PacketBuffer();
  readonly #exit: Exit;

  /**
   * A router that has just started.
   *
   * @param exit makes the exit, which delivers its replies to the function that it is given
   * @param secrets needed if circuits have layers
   */
  constructor(
    config: RouterConfig,
    outbox: RouterOutbox,
    trace: Trace,
    exit: (deliver: Deliver) => Exit,
    secrets?: RouterSecrets,
  ) {
    this.#config = config;
    this.#kind = CIRCUIT_KINDS[config.circuits];
    this.#context = { address: config.address ?? UNSPECIFIED, events: trace.events, ip: this.#ip };
    this.#outbox = outbox;
    this.#trace = trace;
    this.#secrets = secrets;
    this.#neighbours = [...config.neighbours];
    this.#table = new HopTable(config.number, config.neighbours.length, config.limits);
    if (this.#kind.building === undefined) {
      const proxy = config.neighbours.findIndex(({ isRouter }) => !isRouter);
      this.#table.addDirect(proxy, directId(config.number));
    }
    this.#carries = new CarryChecks(config.carries);
    this.#reassembler = new Reassembler((reason) => trace.counters.count(reason));
    this.#exit = exit((circuit, packet, isFromWorld, now) =>
      this.#fromExit(circuit, packet, isFromWorld, now)
    );
  }

  /** Number of circuits. */
  get circuits(): number {
    return this.#table.size;
  }

  /** When to call {@linkcode RouterCore.expire} next, in ms; Infinity for never. */
  get deadline(): number {
    return Math.min(this.#reassembler.deadline, this.#exit.deadline, this.#table.deadline);
  }

  /** Drops everything that has waited too long. */
  expire(now: number): void {
    this.#reassembler.expire(now);
    if (this.#exit.deadline <= now) this.#exit.expire(now);
    this.#table.expire(now);
  }

  /**
   * Replaces a neighbour by a new one at another endpoint, which knows no circuits. Without one,
   * the neighbour is lost until the next call.
   *
   * Removes the circuits that the old one created, because nobody can send on them. Circuits that
   * go on to it wait for the proxy's destroy until the new one is there.
   */
  replaceNeighbour(neighbour: number, by: Endpoint | undefined): void {
    this.#table.removeFrom(neighbour);
    if (by === undefined) return void this.#lost.add(neighbour);
    this.#table.removeTo(neighbour);
    this.#lost.delete(neighbour);
    this.#neighbours[neighbour] = { ...by, isRouter: this.#neighbours[neighbour]!.isRouter };
  }

  /** Takes a datagram from the neighbour with this index, and uses the buffer up. */
  fromLink(neighbour: number, cell: PacketBuffer, now: number): void {
    const { counters } = this.#trace;
    counters.count("link-in");
    if (!isCell(cell)) return counters.count("bad-cell");
    const type = cellType(cell) as CellType;
    const id = cellCircuit(cell);
    const outward = this.#table.incoming(neighbour, id);
    if (outward !== undefined) return this.#outward(outward, cell, type, now);
    const homeward = this.#table.outgoing(neighbour, id);
    if (homeward !== undefined) return this.#homeward(homeward, homeward.next!, cell, type, now);
    const { building } = this.#kind;
    if (type === building?.create) return this.#create(building, neighbour, id, cell, now);
    this.#unknown(neighbour, id, cell, type, now);
  }

  /** Takes a create cell. */
  #create(building: Building, neighbour: number, id: number, cell: PacketBuffer, now: number): void {
    const { counters } = this.#trace;
    if (this.#table.isFull) return counters.count("circuits-full");
    // Only this router chooses ids with its own number.
    if (partyOf(id) === this.#config.number) return counters.count("bad-extend");
    unwrapCell(cell);
    if (!building.hasLayers) {
      if (cell.length > 0) return counters.count("bad-extend");
      this.#table.add(neighbour, id, undefined, now);
      return this.#sendCell(neighbour, cell, building.created, id);
    }
    const { crypto, keys } = this.#secrets!;
    const response = respond(crypto, { keys, prologue: PROLOGUE }, cell.copy());
    if (response === undefined) return counters.count("bad-handshake");
    this.#table.add(neighbour, id, new Layer(crypto, response), now);
    wipe(response.send, response.receive);
    cell.load(response.message);
    this.#sendCell(neighbour, cell, building.created, id);
  }

  /** Takes a cell that travels away from the proxy. */
  #outward(circuit: HopCircuit, cell: PacketBuffer, type: CellType, now: number): void {
    const { counters } = this.#trace;
    const { relay, building } = this.#kind;
    if (
      type !== relay && (building === undefined || (type !== building.extend && type !== CellType.destroy))
    ) {
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
          next === undefined || circuit.layer === undefined ? "packet" : "sealed",
        );
        if (next === undefined) return this.#toExit(circuit, cell, now);
        if (next.kind !== "extended") return counters.count("unexpected-cell");
        return this.#relay(circuit, next, cell, now);
      case building?.extend:
        if (next === undefined) return this.#extend(building!, circuit, cell, now);
        if (next.kind !== "extended") return counters.count("bad-extend");
        this.#trace.events.forwardExtend(circuit.incoming, next.id, this.#portOf(next.neighbour), now);
        return this.#sendCell(next.neighbour, cell, type, next.id);
      case CellType.destroy:
        if (next !== undefined && !this.#lost.has(next.neighbour)) {
          this.#sendCell(next.neighbour, cell, type, next.id);
        }
        return this.#table.remove(circuit);
    }
  }

  /** Takes a cell that travels towards the proxy. */
  #homeward(circuit: HopCircuit, next: NextHop, cell: PacketBuffer, type: CellType, now: number): void {
    const { counters } = this.#trace;
    const { back } = this.#kind;
    const { created, extended, middle } = this.#kind.building!;
    if (next.kind === "extending") {
      if (type !== created) return counters.count("unexpected-cell");
      unwrapCell(cell);
      // Without layers, the answer names its router. Otherwise the proxy might take a duplicate for
      // the answer of the next hop.
      if (circuit.layer === undefined) {
        if (cell.length > 0) return counters.count("unexpected-cell");
        writeExtend(cell, this.#neighbours[next.neighbour]!, new Uint8Array());
      }
      this.#table.extended(circuit, next);
      return this.#sendBack(circuit, cell, extended);
    }
    if (type !== extended && type !== back) return counters.count("unexpected-cell");
    unwrapCell(cell);
    if (type === back) {
      const fault = middle.homeward(cell, circuit, next.id, now, this.#context);
      if (fault !== undefined) return counters.count(fault);
      const form = circuit.layer === undefined ? "packet" : "sealed";
      this.#trace.tap?.inside("back", circuit.incoming, cell, form);
    }
    this.#sendBack(circuit, cell, type);
  }

  #extend(building: Building, circuit: HopCircuit, cell: PacketBuffer, now: number): void {
    const { counters, events } = this.#trace;
    const to = readExtend(cell);
    // A repeated create: the answer may have been lost.
    if (to === undefined && cell.length === 0 && circuit.layer === undefined) {
      return this.#sendCell(circuit.previous, cell, building.created, circuit.incoming);
    }
    const neighbour = this.#neighbours.findIndex(({ isRouter, address, port }, index) =>
      isRouter && address === to?.address && port === to?.port && !this.#lost.has(index)
    );
    if (neighbour < 0 || neighbour === circuit.previous) return counters.count("bad-extend");
    const next = this.#table.extend(circuit, neighbour);
    events.newExtend(circuit.incoming, next.id, this.#portOf(neighbour), now);
    this.#sendCell(neighbour, cell, building.create, next.id);
  }

  #relay(circuit: HopCircuit, next: NextHop, cell: PacketBuffer, now: number): void {
    const { relay, building } = this.#kind;
    const fault = building!.middle.outward(cell, circuit, next.id, now, this.#context);
    if (fault !== undefined) return this.#trace.counters.count(fault);
    this.#sendCell(next.neighbour, cell, relay, next.id);
  }

  #toExit(circuit: HopCircuit, cell: PacketBuffer, now: number): void {
    const { counters } = this.#trace;
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
    this.#kind.exit.outward(packet, circuit, this.#portOf(circuit.previous), now, this.#context);
    this.#exit.send(circuit.handle, packet, ip, now);
  }

  #fromExit(handle: number, packet: PacketBuffer, isFromWorld: boolean, now: number): void {
    const circuit = this.#table.byHandle(handle);
    if (circuit === undefined) return this.#trace.counters.count("unknown-circuit");
    const { back, exit } = this.#kind;
    exit.homeward(packet, circuit, isFromWorld, now, this.#context);
    this.#trace.tap?.inside("back", circuit.incoming, packet, "packet");
    if (packet.length <= this.#config.mtu) return this.#sendBack(circuit, packet, back);
    fragmentIpv4(packet, this.#config.mtu, () => {
      // Seal a copy, because a tag would overwrite the next fragment.
      this.#scratch.hold(packet.length);
      this.#scratch.bytes.set(packet.bytes.subarray(packet.start, packet.end), this.#scratch.start);
      this.#sendBack(circuit, this.#scratch, back);
    });
  }

  /** Sends a cell body towards the proxy, in this hop's layer. */
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
    return this.#neighbours[neighbour]!.port;
  }

  /** Counts and logs a cell of an unknown circuit. Logs the addresses of its packet if readable. */
  #unknown(neighbour: number, id: number, cell: PacketBuffer, type: CellType, now: number): void {
    const { counters, events } = this.#trace;
    if (!this.#kind.cells.has(type)) return counters.count("unexpected-cell");
    unwrapCell(cell);
    const isReadable = (type === CellType.relayData || type === CellType.returnData) &&
      this.#ip.wrap(cell) === undefined;
    events.unknownCircuit(id, this.#portOf(neighbour), isReadable ? this.#ip : undefined, now);
    counters.count("unknown-circuit");
  }
}
