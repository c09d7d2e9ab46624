/**
 * The raw ICMP exit: pings go into the real world by the router's own address, and what the world says to them
 * comes back.
 *
 * ```
 *   tunnel ──► send ──────► time to live ──► session ──► socket ──► world
 *   tunnel ◄── fromWorld ◄── reply, or error that quotes a request ◄── world
 * ```
 *
 * A core without I/O: it is given a socket.
 *
 * @module
 */
import { PacketBuffer } from "../../buffer/packet_buffer.ts";
import type { Trace } from "../../trace/trace.ts";
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
  replaceDestination,
  replaceSource,
} from "../../ip/ipv4.ts";
import { turnIntoReply } from "../echo/core.ts";
import type { Deliver, Exit, World } from "../../node/exit.ts";
import {
  IcmpTranslator,
  type IdentifierShare,
  TRANSLATOR_LIMITS,
  type TranslatorLimits,
} from "./translator.ts";

/** How an ICMP message leaves: what the kernel shall write into its IPv4 header. */
export interface OutgoingFields {
  /** The destination address. */
  readonly destination: IpAddress;
  /** Hops that it may make. */
  readonly ttl: number;
  /** The type of service byte. */
  readonly typeOfService: number;
  /** Whether no router may fragment it, the kernel included. */
  readonly dontFragment: boolean;
}

/** What came of sending: gone; too long for the first link; or refused for any other reason. */
export type SendResult = "sent" | "too-long" | "refused";

/** A raw ICMP socket that never blocks. */
export interface IcmpSocket {
  /** The descriptor that is readable while packets wait; undefined for a device in memory. */
  readonly fd: number | undefined;
  /** Sends the ICMP message `buffer.bytes[from, buffer.end)`; the kernel writes the IPv4 header. */
  send(buffer: PacketBuffer, from: number, fields: OutgoingFields): SendResult;
  /** Fills `into` with the next whole IPv4 packet that came in: false when none waits. */
  receive(into: PacketBuffer): boolean;
}

/** What the exit needs to know. */
export interface RawIcmpConfig {
  /** The exit's own address. */
  readonly address: IpAddress;
  /** Bytes of the longest packet that the exit's interface takes. */
  readonly mtu: number;
  /** Who says what becomes of packets inside the onion, which is one hop: an address of the tunnel's block. */
  readonly hop: IpAddress;
  /** The part of the echo identifiers that this exit may use, where others leave by the same address. */
  readonly share?: IdentifierShare;
}

/** Sends echo requests into the world and translates what comes back. */
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
      // To the router itself: answered here. Sent out, it would be answered by the kernel, once more for every copy.
      // Who pings the hop that traceroute has shown means the same router; the world knows nobody of that address.
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
    if (result === "refused") return counters.count("exit-refused");
    counters.count("too-long");
    replaceEchoIdentifier(view, payload, ip.end, session.identifier);
    const { mtu } = this.#config;
    const { fragmentationNeeded: code } = Unreachable;
    this.#sayError(circuit, { type: IcmpType.destinationUnreachable, code, mtu }, packet, ip, now);
  }

  /** A packet came from the world. The buffer is used up. */
  fromWorld(packet: PacketBuffer, now: number): void {
    const { counters } = this.#trace;
    const ip = this.#ip;
    counters.count("exit-in");
    const fault = ip.wrap(packet);
    if (fault !== undefined) return counters.count(fault);
    if (!isHostAddress(ip.source)) return counters.count("bad-source");
    // The kernel has put fragments together: what still is one is not from it.
    if (ip.protocol !== Protocol.icmp || ip.destination !== this.#config.address || ip.isFragment) {
      return counters.count("not-ours");
    }
    const { payload, end } = ip;
    const icmp = icmpFault(packet.view, payload, end);
    if (icmp !== undefined) return counters.count(icmp);
    const type = icmpType(packet.view, payload);
    const session = type === IcmpType.echoReply
      ? this.#translator.inbound(echoIdentifier(packet.view, payload), ip.source, now)
      : isReport(type)
      ? this.#translateQuote(packet, payload, end, now)
      : undefined;
    if (session === undefined) return counters.count("not-ours");
    // The onion is a hop on the way back too.
    if (ip.ttl <= 1) return counters.count("ttl-expired");
    if (type === IcmpType.echoReply) replaceEchoIdentifier(packet.view, payload, end, session.identifier);
    decrementTtl(packet.view, ip.start);
    replaceDestination(packet.view, ip.start, session.client);
    this.#deliver(session.circuit, packet, true, now);
  }

  /** Makes the request that an error quotes look as its client sent it: the session, where it is one of ours. */
  #translateQuote({ view }: PacketBuffer, message: number, end: number, now: number) {
    const quote = findQuote(view, message, end);
    if (quote === undefined || quotedProtocol(view, quote.header) !== Protocol.icmp) return undefined;
    if (quotedSource(view, quote.header) !== this.#config.address) return undefined;
    if (icmpType(view, quote.payload) !== IcmpType.echoRequest) return undefined;
    const external = echoIdentifier(view, quote.payload);
    const session = this.#translator.inbound(external, quotedDestination(view, quote.header), now);
    if (session === undefined) return undefined;
    // Each change mends a checksum within the quote, so the sum of the whole, and with it the error's own checksum, stays.
    replaceSource(view, quote.header, session.client);
    replaceEchoIdentifier(view, quote.payload, end, session.identifier);
    return session;
  }

  #sayError(circuit: number, error: IcmpError, about: PacketBuffer, ip: Ipv4View, now: number): void {
    if (!mayCauseError(about, ip)) return;
    writeIcmpError(this.#scratch, error, about, ip, this.#config.hop);
    this.#deliver(circuit, this.#scratch, false, now);
  }
}
