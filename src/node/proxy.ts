/**
 * The onion proxy: between the TUN interface and the onion routers.
 *
 * ```
 *   host ── TUN ──► fromTun ──► check ──► circuit ──► seal ──► toRouter
 *                                            └ none yet: wait
 *   host ◄─ TUN ─── toTun ◄──── check ◄── peel ◄── circuit ◄── fromLink
 * ```
 *
 * A core without I/O: it is given bytes and the time, and hands results to its outbox.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import { CarryChecks } from "../carry/table.ts";
import { cellCircuit, CellType, cellType, isCell } from "../cell/cell.ts";
import type { RouterDescription } from "../circuit/origin/builder.ts";
import { BuiltCircuits, type CircuitLimits } from "../circuit/origin/pool.ts";
import { type Circuits, GivenCircuits } from "../circuit/origin/circuits.ts";
import { longestPacket, PLAIN, SEALED } from "../circuit/dialect.ts";
import type { OriginCircuit } from "../circuit/origin/origin_circuit.ts";
import { WaitingRoom } from "../circuit/origin/waiting.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { Trace } from "../trace/trace.ts";
import { type IpAddress, isHostAddress, UNSPECIFIED } from "../ip/address.ts";
import { IcmpType, Unreachable } from "../ip/icmp.ts";
import { type IcmpError, mayCauseError, writeIcmpError } from "../ip/icmp_error.ts";
import { fragmentIpv4, Ipv4View, type ProtocolName } from "../ip/ipv4.ts";
import { replaceAddress } from "../ip/rewrite.ts";

/** A router that the proxy sends to, or builds circuits by. */
export interface ProxyNeighbour extends RouterDescription {
  /** The address that it leaves by; undefined where it stays inside. */
  readonly address: IpAddress | undefined;
}

/** How a proxy comes by its circuits. */
export type CircuitSource =
  /** Both sides know them from the start: one to each router, by its id. */
  | { readonly kind: "given"; readonly ids: readonly number[] }
  /** They are built by random paths. */
  | {
    readonly kind: "built";
    readonly isSealed: boolean;
    readonly hops: number;
    /** A client that will certainly come. */
    readonly firstClient?: IpAddress;
    readonly limits: CircuitLimits;
  };

/** Where the proxy's results go. What is handed over is used up or copied before the call returns. */
export interface ProxyOutbox {
  /** An IP packet for the host. False when the interface refused it. */
  toTun(packet: PacketBuffer): boolean;
  /** A cell for the neighbour of this index. False when the link refused it. */
  toRouter(neighbour: number, cell: PacketBuffer): boolean;
}

/** What a proxy needs to know. */
export interface ProxyConfig {
  /** The neighbours, in the order of the link. */
  readonly routers: readonly ProxyNeighbour[];
  /** How it comes by its circuits. */
  readonly circuits: CircuitSource;
  /** The protocols that packets may have. */
  readonly carries: readonly ProtocolName[];
  /** Bytes of the longest IP packet that the links between neighbours take. */
  readonly linkMtu: number;
  /**
   * Who tells the host that a packet is not carried, an address of the tunnel's block but not the host's own.
   * Absent where such packets are dropped without a word.
   */
  readonly refuseAs?: IpAddress;
}

/** What the host is told of packets that are not carried; the MTU is added where it is the matter. */
const REFUSALS = {
  "not-carried": { type: IcmpType.destinationUnreachable, code: Unreachable.administrativelyProhibited },
  "not-echo-request": { type: IcmpType.destinationUnreachable, code: Unreachable.administrativelyProhibited },
  "too-long": { type: IcmpType.destinationUnreachable, code: Unreachable.fragmentationNeeded },
  "queue-full": { type: IcmpType.destinationUnreachable, code: Unreachable.network },
  "circuits-full": { type: IcmpType.destinationUnreachable, code: Unreachable.network },
  "no-circuit": { type: IcmpType.destinationUnreachable, code: Unreachable.network },
} as const satisfies Record<string, IcmpError>;

/** Whether the host is told of a drop. */
function isRefusal(reason: string): reason is keyof typeof REFUSALS {
  return reason in REFUSALS;
}

/** The onion proxy's core. */
export class ProxyCore {
  readonly #routers: readonly ProxyNeighbour[];
  readonly #refuseAs: IpAddress | undefined;
  readonly #longest: number;
  readonly #outbox: ProxyOutbox;
  readonly #trace: Trace;
  readonly #circuits: Circuits;
  readonly #carries: CarryChecks;
  readonly #waiting = new WaitingRoom();
  readonly #ip = new Ipv4View();
  readonly #scratch = new PacketBuffer();
  readonly #fragment = new PacketBuffer();

  /**
   * A proxy that has just started.
   *
   * @param random numbers in [0, 1) that an outsider cannot guess, for the paths
   * @param crypto needed where circuits are sealed
   */
  constructor(
    config: ProxyConfig,
    outbox: ProxyOutbox,
    trace: Trace,
    random: () => number,
    crypto?: CryptoProvider,
  ) {
    this.#routers = config.routers;
    this.#carries = new CarryChecks(config.carries);
    this.#refuseAs = config.refuseAs;
    this.#outbox = outbox;
    this.#trace = trace;
    const { routers, circuits } = config;
    if (circuits.kind === "given") {
      this.#longest = longestPacket(config.linkMtu, PLAIN, 1);
      this.#circuits = new GivenCircuits(circuits.ids, routers.map(({ address }) => address));
      return;
    }
    const dialect = circuits.isSealed ? SEALED : PLAIN;
    this.#longest = longestPacket(config.linkMtu, dialect, circuits.hops);
    const owner = {
      send: (neighbour: number, cell: PacketBuffer) => this.#toRouter(neighbour, cell),
      opened: (client: IpAddress, circuit: OriginCircuit, now: number) =>
        this.#sendWaiting(client, circuit, now),
      failed: (client: IpAddress) => this.#refuseWaiting(client),
    };
    this.#circuits = new BuiltCircuits({ ...circuits, dialect, routers }, owner, trace, random, crypto);
  }

  /** When {@linkcode ProxyCore.expire} next has something to do, in ms; Infinity for never. */
  get deadline(): number {
    return this.#circuits.deadline;
  }

  /** Does what is due. */
  expire(now: number): void {
    this.#circuits.expire(now);
  }

  /** The proxy stops: its circuits end. */
  end(): void {
    this.#circuits.closeAll();
  }

  /** A packet came out of the TUN interface. The buffer is used up. */
  fromTun(packet: PacketBuffer, now: number): void {
    const { counters, events } = this.#trace;
    const ip = this.#ip;
    counters.count("tun-in");
    const fault = ip.wrap(packet);
    if (fault !== undefined) return counters.count(fault);
    if (!isHostAddress(ip.source)) return counters.count("bad-source");
    const refusal = this.#carries.outward(packet, ip);
    if (refusal !== undefined) {
      return isRefusal(refusal) ? this.#refuse(refusal, packet) : counters.count(refusal);
    }
    if (ip.fragmentOffset === 0) events.icmpFromTunnel(ip, now);
    // Where nobody can tell the host, the tunnel cuts the packet for itself: the exit puts it together again.
    if (packet.length > this.#longest && ip.dontFragment && this.#refuseAs !== undefined) {
      return this.#refuse("too-long", packet);
    }
    const circuit = this.#circuits.choose(ip.source, ip.destination, now);
    if (typeof circuit !== "string") return this.#send(circuit, packet);
    if (circuit === "full") return this.#refuse("circuits-full", packet);
    if (!this.#waiting.add(ip.source, packet)) this.#refuse("queue-full", packet);
  }

  /** A datagram came from the neighbour of this index. The buffer is used up. */
  fromLink(neighbour: number, cell: PacketBuffer, now: number): void {
    const { counters, events } = this.#trace;
    counters.count("link-in");
    if (!isCell(cell)) return counters.count("bad-cell");
    const type = cellType(cell);
    if (!mayCome(type)) return counters.count("unexpected-cell");
    const id = cellCircuit(cell);
    const circuit = this.#circuits.find(neighbour, id);
    if (circuit === undefined) {
      const { port } = this.#routers[neighbour]!.link;
      events.unknownCircuit(id, port, undefined, now);
      return counters.count("unknown-circuit");
    }
    if (circuit.isOpen && type === circuit.dialect.back) return this.#fromCircuit(circuit, cell, now);
    const fault = this.#circuits.answer(circuit, cell, now);
    if (fault !== undefined) counters.count(fault);
  }

  /** A packet came back by a circuit. */
  #fromCircuit(circuit: OriginCircuit, cell: PacketBuffer, now: number): void {
    const { counters, events } = this.#trace;
    const ip = this.#ip;
    const forged = circuit.peel(cell, circuit.dialect.back);
    if (forged !== undefined) return counters.count(forged);
    const fault = ip.wrap(cell);
    if (fault !== undefined) return counters.count(fault);
    const refusal = this.#carries.homeward(cell, ip);
    if (refusal !== undefined) return counters.count(refusal);
    // The exit of a sealed circuit does not know whom it answers. Nobody else on the host is to hear from a circuit.
    if (circuit.dialect.isSealed) replaceAddress(cell, ip, "destination", circuit.client!);
    else if (!circuit.isGiven && ip.destination !== circuit.client) return counters.count("bad-destination");
    // Who waits for the packet waits for nothing else.
    if (this.#outbox.toTun(cell)) counters.count("tun-out");
    else counters.count("tun-refused");
    if (!circuit.isGiven) {
      events.incomingPacket(ip, circuit.id, now);
    } else if (ip.fragmentOffset === 0) {
      const { port } = this.#routers[circuit.neighbour]!.link;
      events.icmpFromPort(ip, port, now);
    }
  }

  /** Counts a packet that is not carried and says so to the host, which would otherwise wait for an answer. */
  #refuse(reason: keyof typeof REFUSALS, packet: PacketBuffer): void {
    const { counters } = this.#trace;
    counters.count(reason);
    if (this.#refuseAs === undefined || !mayCauseError(packet, this.#ip)) return;
    const error = reason === "too-long" ? { ...REFUSALS[reason], mtu: this.#longest } : REFUSALS[reason];
    writeIcmpError(this.#scratch, error, packet, this.#ip, this.#refuseAs);
    if (this.#outbox.toTun(this.#scratch)) counters.count("tun-out");
    else counters.count("tun-refused");
  }

  #send(circuit: OriginCircuit, packet: PacketBuffer): void {
    if (circuit.dialect.isSealed) replaceAddress(packet, this.#ip, "source", UNSPECIFIED);
    if (packet.length <= this.#longest) return this.#sendCell(circuit, packet);
    fragmentIpv4(packet, this.#longest, () => {
      // In a buffer of its own, for a tag would be written over what is still to be cut.
      this.#fragment.hold(packet.length);
      this.#fragment.bytes.set(packet.bytes.subarray(packet.start, packet.end), this.#fragment.start);
      this.#sendCell(circuit, this.#fragment);
    });
  }

  #sendCell(circuit: OriginCircuit, packet: PacketBuffer): void {
    if (!circuit.seal(packet, circuit.dialect.relay)) return this.#trace.counters.count("worn-out");
    this.#toRouter(circuit.neighbour, packet);
  }

  #toRouter(neighbour: number, cell: PacketBuffer): void {
    if (this.#outbox.toRouter(neighbour, cell)) this.#trace.counters.count("link-out");
    else this.#trace.counters.count("link-refused");
  }

  #sendWaiting(client: IpAddress, circuit: OriginCircuit, now: number): void {
    circuit.usedAt = now;
    for (const packet of this.#waiting.take(client)) {
      this.#scratch.load(packet);
      this.#ip.wrap(this.#scratch);
      this.#send(circuit, this.#scratch);
    }
  }

  #refuseWaiting(client: IpAddress): void {
    for (const packet of this.#waiting.take(client)) {
      this.#fragment.load(packet);
      this.#ip.wrap(this.#fragment);
      this.#refuse("no-circuit", this.#fragment);
    }
  }
}

/** Whether cells of this type may come to a proxy, in any dialect. */
function mayCome(type: number): boolean {
  switch (type) {
    case CellType.returnData:
    case CellType.returnSealed:
    case CellType.extendDone:
    case CellType.sealedExtendDone:
    case CellType.handshake:
      return true;
    default:
      return false;
  }
}
