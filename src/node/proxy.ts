/**
 * The onion proxy: forwards packets between the TUN interface and the onion routers.
 *
 * ```
 *   host ── TUN ──► fromTun ──► check ──► circuit ──► seal ──► toRouter
 *                                            └ none yet: wait
 *   host ◄─ TUN ─── toTun ◄──── check ◄── peel ◄── circuit ◄── fromLink
 * ```
 *
 * A core without I/O: it takes bytes and the time, and hands its results to an outbox.
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

/** A router, as the proxy knows it. */
interface ProxyNeighbour extends RouterDescription {
  /** Its address in the world; undefined if its packets stay inside. */
  readonly address: IpAddress | undefined;
}

/** The circuits of a proxy. */
export interface CircuitPlan {
  /** The kind of all circuits. */
  readonly kind: CircuitKindName;
  /** Number of routers on a path. */
  readonly hops: number;
  /** Times and numbers of circuits that are built. */
  readonly limits: CircuitLimits;
  /** A client that is sure to send packets. If circuits are built, its circuit is built at once. */
  readonly firstClient?: IpAddress;
}

/** Takes the proxy's results. A method uses its buffer up, or copies it, before it returns. */
interface ProxyOutbox {
  /** Sends an IP packet to the host. Returns false if the interface refuses it. */
  toTun(packet: PacketBuffer): boolean;
  /** Sends a cell to the neighbour with this index. Returns false if the link refuses it. */
  toRouter(neighbour: number, cell: PacketBuffer): boolean;
}

/** The configuration of a proxy. */
export interface ProxyConfig {
  /** The routers, in the order of the link. */
  readonly routers: readonly ProxyNeighbour[];
  /** The circuits that packets take. */
  readonly circuits: CircuitPlan;
  /** The protocols that packets may have. */
  readonly carries: readonly ProtocolName[];
  /** Length in bytes of the longest IP packet that the links carry. */
  readonly linkMtu: number;
  /**
   * The source of ICMP errors about packets that the proxy drops: an address of the tunnel's block
   * other than the tunnel's own. Without it, the proxy drops silently.
   */
  readonly refuseAs?: IpAddress;
}

/**
 * The ICMP error for each reason to drop a packet of the host. An error about length also has an
 * MTU.
 */
const REFUSALS = {
  "not-carried": { type: IcmpType.destinationUnreachable, code: Unreachable.administrativelyProhibited },
  "not-echo-request": { type: IcmpType.destinationUnreachable, code: Unreachable.administrativelyProhibited },
  "too-long": { type: IcmpType.destinationUnreachable, code: Unreachable.fragmentationNeeded },
  "queue-full": { type: IcmpType.destinationUnreachable, code: Unreachable.network },
  "circuits-full": { type: IcmpType.destinationUnreachable, code: Unreachable.network },
  "no-circuit": { type: IcmpType.destinationUnreachable, code: Unreachable.network },
} as const satisfies Record<string, IcmpError>;

/** Whether a drop causes an ICMP error. */
function isRefusal(reason: string): reason is keyof typeof REFUSALS {
  return reason in REFUSALS;
}

/** The onion proxy's core. */
export class ProxyCore {
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
   * @param random returns numbers in [0, 1) that an outsider cannot guess
   * @param crypto needed if circuits have layers
   */
  constructor(
    config: ProxyConfig,
    outbox: ProxyOutbox,
    trace: Trace,
    random: () => number,
    crypto?: CryptoProvider,
  ) {
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

  /** When to call {@linkcode ProxyCore.expire} next, in ms; Infinity for never. */
  get deadline(): number {
    return this.#pool.deadline;
  }

  /** Does everything that is due. */
  expire(now: number): void {
    this.#pool.expire(now);
  }

  /**
   * Replaces a router by a new one. Without one, the router is lost until the next call.
   *
   * @param router its index, in the order of the link
   */
  replaceRouter(router: number, by: RouterDescription | undefined, now: number): void {
    this.#trace.counters.count(by === undefined ? "routers-lost" : "routers-restarted");
    this.#pool.replace(router, by, now);
  }

  /** Tears down all circuits, because the proxy stops. */
  end(): void {
    this.#pool.closeAll();
  }

  /** Takes a packet from the TUN interface, and uses the buffer up. */
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
    // Without an address for errors, the proxy fragments the packet, and the exit reassembles it.
    if (packet.length > this.#longest && ip.dontFragment && this.#refuseAs !== undefined) {
      return this.#refuse("too-long", packet);
    }
    const circuit = this.#pool.choose(ip, now);
    if (typeof circuit !== "string") return this.#send(circuit, packet);
    if (circuit === "full") return this.#refuse("circuits-full", packet);
    if (circuit === "unreachable") return this.#refuse("no-circuit", packet);
    if (!this.#waiting.add(this.#pool.keyOf(ip), packet)) this.#refuse("queue-full", packet);
  }

  /** Takes a datagram from the neighbour with this index, and uses the buffer up. */
  fromLink(neighbour: number, cell: PacketBuffer, now: number): void {
    const { counters, events } = this.#trace;
    counters.count("link-in");
    if (!isCell(cell)) return counters.count("bad-cell");
    const type = cellType(cell);
    const id = cellCircuit(cell);
    const circuit = this.#pool.find(neighbour, id);
    if (circuit !== undefined) {
      if (type !== this.#kind.back) return counters.count("unexpected-cell");
      return this.#fromCircuit(circuit, cell, now);
    }
    if (!isHomeward(type)) return counters.count("unexpected-cell");
    const fault = this.#pool.answer(neighbour, id, cell, now);
    if (fault === undefined) return;
    counters.count(fault);
    if (fault !== "unknown-circuit") return;
    events.unknownCircuit(id, this.#pool.portOf(neighbour), undefined, now);
  }

  /** Takes a reply from a circuit. */
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
    // Deliver first and log afterwards, because the host waits.
    if (this.#outbox.toTun(cell)) counters.count("tun-out");
    else counters.count("tun-refused");
    proxy.logReply(events, ip, circuit.id, this.#pool.portOf(circuit.neighbour), now);
  }

  /**
   * Counts a packet that is dropped, and tells the host, which would otherwise wait for a reply.
   */
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
      // Seal a copy, because a tag would overwrite the next fragment.
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
