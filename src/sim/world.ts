/**
 * The Internet in memory, as a raw ICMP exit sees it through its socket.
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
import type { IpAddress } from "../ip/address.ts";
import { icmpFault, IcmpType, icmpType, Unreachable } from "../ip/icmp.ts";
import { type IcmpError, LONGEST_ERROR, mayCauseError, writeIcmpError } from "../ip/icmp_error.ts";
import { decrementTtl, fragmentIpv4, IPV4_HEADER, Ipv4View, Protocol, writeIpv4Header } from "../ip/ipv4.ts";
import { turnIntoReply } from "../exit/echo/core.ts";
import type { IcmpSocket, OutgoingFields, SendResult } from "../exit/raw_icmp/core.ts";
import { MemoryPackets } from "./packets.ts";

/** Default MTU of a link in bytes, that of Ethernet. */
const DEFAULT_MTU = 1500;

/** A router of the world. It answers pings to its own address. */
export interface WorldRouter {
  /** Its address, which `traceroute` shows. */
  readonly address: IpAddress;
  /** MTU of the link behind it, in bytes; 1500 unless given. */
  readonly mtu?: number;
  /** Max length of its ICMP errors in bytes; 576 unless given. 56 quotes the minimum of RFC 792. */
  readonly longestError?: number;
}

/**
 * What a host does: answers pings, stays silent, or lets the last router say "host unreachable".
 */
export type WorldHost = "answers" | "silent" | "unreachable";

/** The parts of a world. */
export interface MemoryWorldOptions {
  /** Address of the exit, the source of everything it sends. */
  readonly address: IpAddress;
  /** MTU of the exit's interface, in bytes; 1500 unless given. */
  readonly mtu?: number;
  /** The routers on the way to every host, nearest first; none unless given. */
  readonly routers?: readonly WorldRouter[];
  /** What the host at an address does; every host answers unless given. */
  readonly host?: (address: IpAddress) => WorldHost;
}

/**
 * A world behind a raw ICMP socket. It does the work of the kernel and the Internet: it writes IPv4
 * headers, decrements TTLs, answers pings and sends ICMP errors. Nothing takes time.
 *
 * Fragmentation shows only in errors, which quote the first fragment, because hosts and the exit's
 * kernel reassemble.
 */
export class MemoryWorld extends MemoryPackets implements IcmpSocket {
  /** Address of the exit. */
  readonly address: IpAddress;
  /** MTU of the exit's interface, in bytes. */
  mtu: number;
  /** False while the exit's interface is down. The kernel then refuses every packet. */
  isUp = true;
  readonly #routers: readonly WorldRouter[];
  readonly #host: (address: IpAddress) => WorldHost;
  readonly #packet = new PacketBuffer();
  readonly #error = new PacketBuffer();
  readonly #ip = new Ipv4View();
  #identification = 0;

  /** A world at rest. */
  constructor(options: MemoryWorldOptions) {
    super();
    this.address = options.address;
    this.mtu = options.mtu ?? DEFAULT_MTU;
    this.#routers = options.routers ?? [];
    this.#host = options.host ?? (() => "answers");
  }

  /** {@inheritDoc IcmpSocket.send} */
  send(buffer: PacketBuffer, from: number, fields: OutgoingFields): SendResult {
    if (!this.isUp) return "no-network";
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
    this.leave(packet);
    this.#carry();
    return "sent";
  }

  /** Carries the packet from router to router, as far as it gets. */
  #carry(): void {
    const packet = this.#packet;
    const ip = this.#ip;
    ip.wrap(packet);
    let narrowest = this.mtu;
    for (const [passed, router] of this.#routers.entries()) {
      const { address, mtu = DEFAULT_MTU } = router;
      if (ip.destination === address) return this.#answer(passed);
      if (ip.ttl <= 1) return this.#sendError({ type: IcmpType.timeExceeded, code: 0 }, passed, narrowest);
      if (ip.dontFragment && ip.totalLength > mtu) {
        const { fragmentationNeeded: code } = Unreachable;
        return this.#sendError({ type: IcmpType.destinationUnreachable, code, mtu }, passed, narrowest);
      }
      decrementTtl(packet.view, packet.start);
      narrowest = Math.min(narrowest, mtu);
    }
    switch (this.#host(ip.destination)) {
      case "answers":
        return this.#answer(this.#routers.length);
      case "unreachable": {
        const { destinationUnreachable: type } = IcmpType;
        return this.#sendError({ type, code: Unreachable.host }, this.#routers.length - 1, narrowest);
      }
      case "silent":
        return;
    }
  }

  /** Answers a valid echo request from behind `passed` routers. */
  #answer(passed: number): void {
    const packet = this.#packet;
    const { payload } = this.#ip;
    if (icmpFault(packet, this.#ip) !== undefined) return;
    if (icmpType(packet.view, payload) !== IcmpType.echoRequest) return;
    turnIntoReply(packet, this.#ip);
    this.#bringBack(packet, passed);
  }

  /**
   * Sends an ICMP error about the packet, which is as the router received or forwarded it.
   *
   * @param index the router that sends it. Nothing happens without such a router.
   * @param narrowest smallest MTU of the links before the router, in bytes
   */
  #sendError(error: IcmpError, index: number, narrowest: number): void {
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

  /** Brings a packet from behind `passed` routers to the exit. */
  #bringBack(packet: PacketBuffer, passed: number): void {
    for (let router = 0; router < passed; router++) decrementTtl(packet.view, packet.start);
    this.inject(packet.copy());
  }
}
