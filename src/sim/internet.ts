/**
 * The Internet in memory: what a raw ICMP exit meets behind its socket, with the caller as its creator.
 *
 * ```
 *        first link           link                 link
 *   exit ──────────► router ──────────► router … ──────────► host
 *        ◄───────────────────────────────────────────────────┘ reply
 *        ◄───────────┴──────────────────┘ time exceeded, fragmentation needed, host unreachable
 *        ◄─── whatever the caller injects
 * ```
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import { icmpFault, IcmpType, icmpType, Unreachable } from "../ip/icmp.ts";
import { type IcmpError, LONGEST_ERROR, mayCauseError, writeIcmpError } from "../ip/icmp_error.ts";
import { decrementTtl, fragmentIpv4, IPV4_HEADER, Ipv4View, Protocol, writeIpv4Header } from "../ip/ipv4.ts";
import { turnIntoReply } from "../exit/echo/echo.ts";
import type { IcmpSocket, OutgoingFields, SendResult } from "../exit/raw_icmp/raw_icmp.ts";

/** Bytes of the longest packet that a link takes unless somebody says otherwise: Ethernet's. */
const USUAL_MTU = 1500;

/** A router of the world. It answers pings to its own address, too. */
export interface WorldRouter {
  /** Who it is, as `traceroute` shows it. */
  readonly address: number;
  /** Bytes of the longest packet that the link behind it takes; 1500 unless given. */
  readonly mtu?: number;
  /** Bytes of its longest error; 576 unless given. With 56 it quotes as little as RFC 792 allows. */
  readonly longestError?: number;
}

/**
 * What comes of a packet for a host: it answers pings; it says nothing, because it is dead or nobody; or the last router
 * of the way says that there is no such host.
 */
export type WorldHost = "answers" | "silent" | "unreachable";

/** What a world is made of. Addresses are unsigned 32-bit numbers. */
export interface MemoryWorldOptions {
  /** The exit's own address: where everything comes from, and answers go to. */
  readonly address: number;
  /** Bytes of the longest packet that the first link takes, the exit's interface; 1500 unless given. */
  readonly mtu?: number;
  /** The routers on the way to every host, the nearest first; none unless given. */
  readonly routers?: readonly WorldRouter[];
  /** Who is there; everybody unless given. */
  readonly host?: (address: number) => WorldHost;
}

/**
 * A world behind a raw ICMP socket. It does what the kernel and the Internet would: writes IPv4 headers, decrements the
 * time to live, answers, complains. Nothing in it takes time.
 *
 * A packet that is too long for a link and may be fragmented goes on in pieces, of which nothing is seen here but
 * that a router's complaint quotes the first: hosts, and the kernel before it hands an answer over, put them together.
 */
export class MemoryWorld implements IcmpSocket {
  /** The exit's own address. */
  readonly address: number;
  /** Bytes of the longest packet that the exit's interface takes. */
  readonly mtu: number;
  /** False while the exit's interface is down: the kernel then refuses whatever is sent. */
  isUp = true;
  readonly #routers: readonly WorldRouter[];
  readonly #host: (address: number) => WorldHost;
  readonly #packet = new PacketBuffer();
  readonly #error = new PacketBuffer();
  readonly #ip = new Ipv4View();
  readonly #towardsExit: Uint8Array[] = [];
  #sent: Uint8Array<ArrayBuffer>[] = [];
  #identification = 0;

  /** A world in which nothing has happened yet. */
  constructor(options: MemoryWorldOptions) {
    this.address = options.address;
    this.mtu = options.mtu ?? USUAL_MTU;
    this.#routers = options.routers ?? [];
    this.#host = options.host ?? (() => "answers");
  }

  /** Lets an IP packet arrive at the exit's socket, whatever it is: past the kernel's own checks, too. */
  inject(packet: Uint8Array): void {
    this.#towardsExit.push(packet.slice());
  }

  /** The packets that have left the exit since last asked, in order and whole, as they left it. */
  take(): Uint8Array<ArrayBuffer>[] {
    const taken = this.#sent;
    this.#sent = [];
    return taken;
  }

  /** {@inheritDoc IcmpSocket.receive} */
  receive(into: PacketBuffer): boolean {
    const packet = this.#towardsExit.shift();
    if (packet === undefined) return false;
    into.load(packet);
    return true;
  }

  /** {@inheritDoc IcmpSocket.send} */
  send(buffer: PacketBuffer, from: number, fields: OutgoingFields): SendResult {
    if (!this.isUp) return "refused";
    const packet = this.#packet;
    packet.hold(IPV4_HEADER + buffer.end - from);
    if (fields.dontFragment && packet.length > this.mtu) return "too-long";
    packet.bytes.set(buffer.bytes.subarray(from, buffer.end), packet.start + IPV4_HEADER);
    this.#identification = (this.#identification + 1) & 0xffff;
    writeIpv4Header(packet.view, packet.start, packet.end, {
      ...fields,
      identification: this.#identification,
      protocol: Protocol.icmp,
      source: this.address,
    });
    this.#sent.push(packet.copy());
    this.#carry();
    return "sent";
  }

  /** Takes the packet from router to router, as far as it gets. */
  #carry(): void {
    const packet = this.#packet;
    const ip = this.#ip;
    ip.wrap(packet);
    let narrowest = this.mtu;
    for (const [passed, router] of this.#routers.entries()) {
      const { address, mtu = USUAL_MTU } = router;
      if (ip.destination === address) return this.#answer(passed);
      if (ip.ttl <= 1) return this.#say({ type: IcmpType.timeExceeded, code: 0 }, passed, narrowest);
      if (ip.dontFragment && ip.totalLength > mtu) {
        const { fragmentationNeeded: code } = Unreachable;
        return this.#say({ type: IcmpType.destinationUnreachable, code, mtu }, passed, narrowest);
      }
      decrementTtl(packet.view, packet.start);
      narrowest = Math.min(narrowest, mtu);
    }
    switch (this.#host(ip.destination)) {
      case "answers":
        return this.#answer(this.#routers.length);
      case "unreachable": {
        const { destinationUnreachable: type } = IcmpType;
        return this.#say({ type, code: Unreachable.host }, this.#routers.length - 1, narrowest);
      }
      case "silent":
        return;
    }
  }

  /** Answers the packet, if it is an echo request in good order, from behind `passed` routers. */
  #answer(passed: number): void {
    const packet = this.#packet;
    const { payload, end } = this.#ip;
    if (icmpFault(packet.view, payload, end) !== undefined) return;
    if (icmpType(packet.view, payload) !== IcmpType.echoRequest) return;
    turnIntoReply(packet, this.#ip);
    this.#bringBack(packet, passed);
  }

  /**
   * Lets a router complain about the packet, which is as it came to it, or as the last one has already passed it on.
   *
   * @param index which router; where there is none, nobody complains
   * @param narrowest bytes of the longest packet that the links before it take
   */
  #say(error: IcmpError, index: number, narrowest: number): void {
    const router = this.#routers[index];
    if (router === undefined) return;
    const packet = this.#packet;
    const ip = this.#ip;
    fragmentIpv4(packet, narrowest, () => {
      ip.wrap(packet);
      if (!mayCauseError(packet, ip)) return;
      writeIcmpError(this.#error, error, packet, ip, router.address, router.longestError ?? LONGEST_ERROR);
      this.#bringBack(this.#error, index);
    });
  }

  /** Brings a packet that starts behind `passed` routers to the exit. */
  #bringBack(packet: PacketBuffer, passed: number): void {
    for (let router = 0; router < passed; router++) decrementTtl(packet.view, packet.start);
    this.inject(packet.copy());
  }
}
