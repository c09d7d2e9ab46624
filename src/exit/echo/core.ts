/**
 * The echo exit: the router answers `ping` itself, on behalf of every host of the tunnel's block.
 *
 * @module
 */
import { MAX_PACKET, PacketBuffer } from "../../buffer/packet_buffer.ts";
import { type Cidr, isHostOf } from "../../ip/cidr.ts";
import { icmpFault, IcmpType, icmpType, turnIntoEchoReply } from "../../ip/icmp.ts";
import { IPV4_HEADER, Ipv4View, Protocol, writeIpv4Header } from "../../ip/ipv4.ts";
import type { Deliver, Exit } from "../../node/exit.ts";
import type { Trace } from "../../trace/trace.ts";

/** The TTL of packets that we originate (IANA "IP Option Numbers", IP TIME TO LIVE PARAMETER). */
const TTL = 64;

/** Answers echo requests to the hosts of a block. */
export class EchoExit implements Exit {
  readonly #block: Cidr;
  readonly #deliver: Deliver;
  readonly #trace: Trace;

  /** @param block the hosts that answer; its address is the tunnel's own, which does not */
  constructor(block: Cidr, deliver: Deliver, trace: Trace) {
    this.#block = block;
    this.#deliver = deliver;
    this.#trace = trace;
  }

  /** {@inheritDoc Exit.deadline} */
  readonly deadline: number = Infinity;

  /** {@inheritDoc Exit.expire} */
  expire(): void {}

  /** {@inheritDoc Exit.send} */
  send(circuit: number, packet: PacketBuffer, ip: Ipv4View, now: number): void {
    const { destination, payload } = ip;
    if (icmpType(packet.view, payload) !== IcmpType.echoRequest) {
      return this.#trace.counters.count("not-echo-request");
    }
    if (destination === this.#block.address || !isHostOf(this.#block, destination)) {
      return this.#trace.counters.count("bad-destination");
    }
    turnIntoReply(packet, ip);
    this.#deliver(circuit, packet, false, now);
  }
}

/**
 * Turns a valid echo request into its reply, in place. The reply keeps the request's type of
 * service (RFC 1122 §3.2.2.6). It keeps the identification too, which is as unique on the way back
 * as it was on the way here. It drops header options.
 */
export function turnIntoReply(packet: PacketBuffer, ip: Ipv4View): void {
  const { typeOfService, identification, source, destination, payload } = ip;
  turnIntoEchoReply(packet.view, payload, packet.end);
  packet.start = payload - IPV4_HEADER;
  writeIpv4Header(packet.view, packet.start, packet.end, {
    typeOfService,
    identification,
    dontFragment: false,
    ttl: TTL,
    protocol: Protocol.icmp,
    source: destination,
    destination: source,
  });
}

/**
 * The reply to an echo request.
 *
 * @param request a whole IPv4 packet
 * @returns the whole reply; undefined if the packet is damaged, a fragment, or not an echo request
 */
export function answerEcho(request: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  if (request.length > MAX_PACKET) return undefined;
  const packet = new PacketBuffer(request.length);
  packet.load(request);
  const ip = new Ipv4View();
  if (ip.wrap(packet) !== undefined || ip.protocol !== Protocol.icmp || ip.isFragment) return undefined;
  if (icmpFault(packet, ip) !== undefined) return undefined;
  if (icmpType(packet.view, ip.payload) !== IcmpType.echoRequest) return undefined;
  turnIntoReply(packet, ip);
  return packet.copy();
}
