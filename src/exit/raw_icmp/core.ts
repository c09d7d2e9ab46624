/**
 * The raw ICMP exit sends pings into the real world from the router's own address, and takes the
 * answers back into the onion.
 *
 * ```
 *   tunnel ──► send ──────► time to live ──► session ──► socket ──► world
 *   tunnel ◄── fromWorld ◄── reply, or error that quotes a request ◄── world
 * ```
 *
 * A core without I/O: its caller provides the socket.
 *
 * @module
 */
import { PacketBuffer } from "../../buffer/packet_buffer.ts";
import { type IpAddress, isHostAddress } from "../../ip/address.ts";
import {
  echoIdentifier,
  icmpFault,
  IcmpType,
  icmpType,
  isReport,
  replaceEchoIdentifier,
  Unreachable,
} from "../../ip/icmp.ts";
import { findQuote, type IcmpError, mayCauseError, writeIcmpError } from "../../ip/icmp_error.ts";
import {
  decrementTtl,
  Ipv4View,
  Protocol,
  quotedDestination,
  quotedProtocol,
  quotedSource,
} from "../../ip/ipv4.ts";
import { replaceAddress } from "../../ip/rewrite.ts";
import type { Deliver, Exit, World } from "../../node/exit.ts";
import type { Trace } from "../../trace/trace.ts";
import { turnIntoReply } from "../echo/core.ts";
import {
  IcmpTranslator,
  type IdentifierShare,
  TRANSLATOR_LIMITS,
  type TranslatorLimits,
} from "./translator.ts";

/** What the kernel writes into the IPv4 header of an outgoing ICMP message. */
export interface OutgoingFields {
  /** The destination address. */
  readonly destination: IpAddress;
  /** The number of hops that it may make. */
  readonly ttl: number;
  /** The type of service byte. */
  readonly typeOfService: number;
  /** Whether it must not be fragmented, not even by the kernel. */
  readonly dontFragment: boolean;
}

/**
 * The outcome of sending: sent, too long for the first link, refused for want of room, or refused
 * for a reason that the sender should hear.
 */
export type SendResult = "sent" | "too-long" | "refused" | "no-network" | "no-host" | "prohibited";

/** The code of Destination Unreachable for each such reason. */
const CODES: Readonly<Record<Exclude<SendResult, "sent" | "too-long" | "refused">, number>> = {
  "no-network": Unreachable.network,
  "no-host": Unreachable.host,
  "prohibited": Unreachable.administrativelyProhibited,
};

/** A raw ICMP socket that never blocks. */
export interface IcmpSocket {
  /** The descriptor that is readable while packets wait; undefined for a device in memory. */
  readonly fd: number | undefined;
  /** MTU in bytes of the way that the last packet that was too long would have taken. */
  readonly mtu: number;
  /** Sends the ICMP message `buffer.bytes[from, buffer.end)`; the kernel writes the IPv4 header. */
  send(buffer: PacketBuffer, from: number, fields: OutgoingFields): SendResult;
  /**
   * Fills `into` with the next incoming IPv4 packet, always a whole one. Returns whether there was
   * one.
   */
  receive(into: PacketBuffer): boolean;
}

/** The configuration of the exit. */
export interface RawIcmpConfig {
  /** The exit's own address. */
  readonly address: IpAddress;
  /**
   * The source of ICMP errors about packets inside the onion, which appears as a single hop: an
   * address of the tunnel's block.
   */
  readonly hop: IpAddress;
  /** The echo identifiers that this exit may use, if other exits have the same address. */
  readonly share?: IdentifierShare;
}

/** Sends echo requests into the world, and translates the answers. */
export class RawIcmpExit implements Exit {
  readonly #config: RawIcmpConfig;
  readonly #socket: IcmpSocket;
  readonly #deliver: Deliver;
  readonly #trace: Trace;
  readonly #translator: IcmpTranslator;
  readonly #scratch = new PacketBuffer();
  readonly #ip = new Ipv4View();
  /** {@inheritDoc Exit.world} */
  readonly world: World;

  /**
   * An exit without sessions.
   *
   * @param random numbers in [0, 1) that an outsider cannot guess
   */
  constructor(
    config: RawIcmpConfig,
    socket: IcmpSocket,
    deliver: Deliver,
    trace: Trace,
    random: () => number,
    limits: TranslatorLimits = TRANSLATOR_LIMITS,
  ) {
    this.#config = config;
    this.#socket = socket;
    this.world = { device: socket, take: (packet, now) => this.fromWorld(packet, now) };
    this.#deliver = deliver;
    this.#trace = trace;
    this.#translator = new IcmpTranslator(random, limits, config.share);
  }

  /** {@inheritDoc Exit.deadline} */
  get deadline(): number {
    return this.#translator.deadline;
  }

  /** {@inheritDoc Exit.expire} */
  expire(now: number): void {
    this.#translator.expire(now);
  }

  /** {@inheritDoc Exit.send} */
  send(circuit: number, packet: PacketBuffer, ip: Ipv4View, now: number): void {
    const { counters } = this.#trace;
    const { view } = packet;
    const { payload, destination, source, ttl, typeOfService, dontFragment } = ip;
    if (icmpType(view, payload) !== IcmpType.echoRequest) return counters.count("not-echo-request");
    if (destination === this.#config.address || destination === this.#config.hop) {
      // A ping to the router itself is answered here. If it were sent, the kernel would answer it
      // as well. The hop is the address that traceroute shows for this router; the world does not
      // know it.
      turnIntoReply(packet, ip);
      return this.#deliver(circuit, packet, false, now);
    }
    if (!isHostAddress(destination)) return counters.count("bad-destination");
    if (ttl <= 1) {
      counters.count("ttl-expired");
      return this.#sayError(circuit, { type: IcmpType.timeExceeded, code: 0 }, packet, ip, now);
    }
    const session = this.#translator.outbound(
      circuit,
      source,
      echoIdentifier(view, payload),
      destination,
      now,
    );
    if (session === undefined) return counters.count("sessions-full");
    replaceEchoIdentifier(view, payload, ip.end, session.externalIdentifier);
    const result = this.#socket.send(packet, payload, {
      destination,
      ttl: ttl - 1,
      typeOfService,
      dontFragment,
    });
    if (result === "sent") return counters.count("exit-out");
    counters.count(result === "too-long" ? "too-long" : "exit-refused");
    if (result === "refused") return;
    replaceEchoIdentifier(view, payload, ip.end, session.identifier);
    const { destinationUnreachable: type } = IcmpType;
    const error = result === "too-long"
      ? { type, code: Unreachable.fragmentationNeeded, mtu: this.#socket.mtu }
      : { type, code: CODES[result] };
    this.#sayError(circuit, error, packet, ip, now);
  }

  /** Takes a packet that came from the world. The exit uses the buffer up. */
  fromWorld(packet: PacketBuffer, now: number): void {
    const { counters } = this.#trace;
    const ip = this.#ip;
    counters.count("exit-in");
    const fault = ip.wrap(packet);
    if (fault !== undefined) return counters.count(fault);
    if (!isHostAddress(ip.source)) return counters.count("bad-source");
    // The kernel has reassembled fragments, so a fragment cannot come from its socket.
    if (ip.protocol !== Protocol.icmp || ip.destination !== this.#config.address || ip.isFragment) {
      return counters.count("not-ours");
    }
    const { payload, end } = ip;
    const icmp = icmpFault(packet, ip);
    if (icmp !== undefined) return counters.count(icmp);
    const type = icmpType(packet.view, payload);
    const session = type === IcmpType.echoReply
      ? this.#translator.inbound(echoIdentifier(packet.view, payload), ip.source, now)
      : isReport(type)
      ? this.#translateQuote(packet, payload, end, now)
      : undefined;
    if (session === undefined) return counters.count("not-ours");
    // The onion counts as a hop on the way back, too.
    if (ip.ttl <= 1) return counters.count("ttl-expired");
    if (type === IcmpType.echoReply) replaceEchoIdentifier(packet.view, payload, end, session.identifier);
    decrementTtl(packet.view, ip.start);
    // The kernel says by itself that a gateway does not answer. The client would take an error from
    // its own address for a forged one, and the host of this exit may be the client's.
    if (ip.source === this.#config.address) replaceAddress(packet, ip, "source", this.#config.hop);
    replaceAddress(packet, ip, "destination", session.client);
    this.#deliver(session.circuit, packet, true, now);
  }

  /**
   * Restores the client's identifier in the request that an error quotes.
   *
   * @returns the request's session; undefined if the request is not ours
   */
  #translateQuote({ view }: PacketBuffer, message: number, end: number, now: number) {
    const quote = findQuote(view, message, end);
    if (quote === undefined || quotedProtocol(view, quote.header) !== Protocol.icmp) return undefined;
    if (quotedSource(view, quote.header) !== this.#config.address) return undefined;
    if (icmpType(view, quote.payload) !== IcmpType.echoRequest) return undefined;
    const external = echoIdentifier(view, quote.payload);
    const session = this.#translator.inbound(external, quotedDestination(view, quote.header), now);
    if (session === undefined) return undefined;
    // This updates the quoted checksum too, so the error's own checksum stays valid.
    replaceEchoIdentifier(view, quote.payload, end, session.identifier);
    return session;
  }

  #sayError(circuit: number, error: IcmpError, about: PacketBuffer, ip: Ipv4View, now: number): void {
    if (!mayCauseError(about, ip)) return;
    writeIcmpError(this.#scratch, error, about, ip, this.#config.hop);
    this.#deliver(circuit, this.#scratch, false, now);
  }
}
