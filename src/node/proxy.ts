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
import { cellCircuit, cellType, isCell } from "../cell/cell.ts";
import {
  CIRCUIT_KINDS,
  type CircuitKind,
  type CircuitKindName,
  isHomeward,
  longestPacket,
} from "../circuit/kind.ts";
import type { RouterDescription } from "../circuit/origin/builder.ts";
import { byClient, byRouter, type CircuitKey } from "../circuit/origin/key.ts";
import type { OriginCircuit } from "../circuit/origin/origin_circuit.ts";
import { type CircuitLimits, CircuitPool } from "../circuit/origin/pool.ts";
import { WaitingRoom } from "../circuit/origin/waiting.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { Trace } from "../trace/trace.ts";
import { type IpAddress, isHostAddress } from "../ip/address.ts";
import { IcmpType, Unreachable } from "../ip/icmp.ts";
import { type IcmpError, mayCauseError, writeIcmpError } from "../ip/icmp_error.ts";
import { fragmentIpv4, Ipv4View, type ProtocolName } from "../ip/ipv4.ts";

/** A router that the proxy sends to, or builds circuits by. */
export interface ProxyNeighbour extends RouterDescription {
  /** The address that it leaves by; undefined where it stays inside. */
  readonly address: IpAddress | undefined;
}

/** Which circuits packets take. */
export interface CircuitPlan {
  readonly kind: CircuitKindName;
  /** Routers that a packet passes. */
  readonly hops: number;
  readonly limits: CircuitLimits;
  /** A client that will certainly send: a circuit that is built for each client is built for it at once. */
  readonly firstClient?: IpAddress;
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
  /** The neighbours, in the order of the link. */
  readonly routers: readonly ProxyNeighbour[];
  /** Which circuits packets take. */
  readonly circuits: CircuitPlan;
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
  readonly #kind: CircuitKind;
  readonly #pool: CircuitPool;
  readonly #carries: CarryChecks;
  readonly #waiting = new WaitingRoom();
  readonly #ip = new Ipv4View();
  readonly #scratch = new PacketBuffer();
  readonly #fragment = new PacketBuffer();

  /**
   * A proxy that has just started.
   *
   * @param random numbers in [0, 1) that an outsider cannot guess, for the paths
   * @param crypto needed where circuits have layers
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
    const { routers, linkMtu, circuits: { kind, hops, limits, firstClient } } = config;
    this.#kind = CIRCUIT_KINDS[kind];
    this.#longest = longestPacket(linkMtu, kind, hops);
    const keys = this.#kind.building === undefined
      ? { keyOf: byRouter(routers.map(({ address }) => address)) }
      : {
        keyOf: byClient,
        ...(firstClient !== undefined && { first: { key: firstClient, replyTo: firstClient } }),
      };
    const owner = {
      send: (neighbour: number, cell: PacketBuffer) => this.#toRouter(neighbour, cell),
      opened: (key: CircuitKey, circuit: OriginCircuit, now: number) => this.#sendWaiting(key, circuit, now),
      failed: (key: CircuitKey) => this.#refuseWaiting(key),
    };
    const pool = { kind: this.#kind, hops, limits, routers, ...keys };
    this.#pool = new CircuitPool(pool, owner, trace, random, crypto);
  }

  /** When {@linkcode ProxyCore.expire} next has something to do, in ms; Infinity for never. */
  get deadline(): number {
    return this.#pool.deadline;
  }

  /** Does what is due. */
  expire(now: number): void {
    this.#pool.expire(now);
  }

  /** The proxy stops: its circuits end. */
  end(): void {
    this.#pool.closeAll();
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
    const circuit = this.#pool.choose(ip, now);
    if (typeof circuit !== "string") return this.#send(circuit, packet);
    if (circuit === "full") return this.#refuse("circuits-full", packet);
    if (!this.#waiting.add(this.#pool.keyOf(ip), packet)) this.#refuse("queue-full", packet);
  }

  /** A datagram came from the neighbour of this index. The buffer is used up. */
  fromLink(neighbour: number, cell: PacketBuffer, now: number): void {
    const { counters, events } = this.#trace;
    counters.count("link-in");
    if (!isCell(cell)) return counters.count("bad-cell");
    const type = cellType(cell);
    if (!isHomeward(type)) return counters.count("unexpected-cell");
    const id = cellCircuit(cell);
    const circuit = this.#pool.find(neighbour, id);
    if (circuit !== undefined) {
      if (type !== this.#kind.back) return counters.count("unexpected-cell");
      return this.#fromCircuit(circuit, cell, now);
    }
    const fault = this.#pool.answer(neighbour, id, cell, now);
    if (fault === undefined) return;
    counters.count(fault);
    if (fault !== "unknown-circuit") return;
    events.unknownCircuit(id, this.#routers[neighbour]!.link.port, undefined, now);
  }

  /** A packet came back by a circuit. */
  #fromCircuit(circuit: OriginCircuit, cell: PacketBuffer, now: number): void {
    const { counters, events } = this.#trace;
    const ip = this.#ip;
    const { back, proxy } = this.#kind;
    const forged = circuit.peel(cell, back);
    if (forged !== undefined) return counters.count(forged);
    const fault = ip.wrap(cell);
    if (fault !== undefined) return counters.count(fault);
    const refusal = this.#carries.homeward(cell, ip) ?? proxy.homeward(cell, ip, circuit.replyTo);
    if (refusal !== undefined) return counters.count(refusal);
    // Before the log: the host waits for the packet.
    if (this.#outbox.toTun(cell)) counters.count("tun-out");
    else counters.count("tun-refused");
    proxy.logReply(events, ip, circuit.id, this.#routers[circuit.neighbour]!.link.port, now);
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
    this.#kind.proxy.outward(packet, this.#ip);
    if (packet.length <= this.#longest) return this.#sendCell(circuit, packet);
    fragmentIpv4(packet, this.#longest, () => {
      // In a buffer of its own, because a tag would be written over what is still to be cut.
      this.#fragment.hold(packet.length);
      this.#fragment.bytes.set(packet.bytes.subarray(packet.start, packet.end), this.#fragment.start);
      this.#sendCell(circuit, this.#fragment);
    });
  }

  #sendCell(circuit: OriginCircuit, packet: PacketBuffer): void {
    if (!circuit.seal(packet, this.#kind.relay)) return this.#trace.counters.count("worn-out");
    this.#toRouter(circuit.neighbour, packet);
  }

  #toRouter(neighbour: number, cell: PacketBuffer): void {
    if (this.#outbox.toRouter(neighbour, cell)) this.#trace.counters.count("link-out");
    else this.#trace.counters.count("link-refused");
  }

  #sendWaiting(key: CircuitKey, circuit: OriginCircuit, now: number): void {
    circuit.usedAt = now;
    for (const packet of this.#waiting.take(key)) {
      this.#scratch.load(packet);
      this.#ip.wrap(this.#scratch);
      this.#send(circuit, this.#scratch);
    }
  }

  #refuseWaiting(key: CircuitKey): void {
    for (const packet of this.#waiting.take(key)) {
      this.#fragment.load(packet);
      this.#ip.wrap(this.#fragment);
      this.#refuse("no-circuit", this.#fragment);
    }
  }
}
