/**
 * The echo exit: the router stands in for every host of the tunnel's block and answers `ping` itself.
 *
 * @module
 */
import type { PacketBuffer } from "../bytes/packet_buffer.ts";
import type { Trace } from "../trace/trace.ts";
import { icmpType, IcmpType, turnIntoEchoReply } from "../wire/icmp.ts";
import { IPV4_HEADER, type Ipv4View, Protocol, writeIpv4Header } from "../wire/ipv4.ts";
import { type Cidr, isHostOf } from "../wire/cidr.ts";
import type { Deliver, Exit } from "./exit.ts";

/** The TTL of the packets we originate (IANA "IP Option Numbers", IP TIME TO LIVE PARAMETER). */
const TTL = 64;

/** Answers echo requests to the hosts of one block. */
export class EchoExit implements Exit {
  readonly #block: Cidr;
  readonly #deliver: Deliver;
  readonly #trace: Trace;

  /** @param block the hosts that answer, and in it the one address that does not: the tunnel's own */
  constructor(block: Cidr, deliver: Deliver, trace: Trace) {
    this.#block = block;
    this.#deliver = deliver;
    this.#trace = trace;
  }

  /** {@inheritDoc Exit.send} */
  send(circuit: number, packet: PacketBuffer, ip: Ipv4View): void {
    const { destination, source, payload } = ip;
    if (icmpType(packet.view, payload) !== IcmpType.echoRequest) {
      return this.#trace.counters.count("not-echo-request");
    }
    if (destination === this.#block.address || !isHostOf(this.#block, destination)) {
      return this.#trace.counters.count("bad-destination");
    }
    turnIntoEchoReply(packet.view, payload);
    // The reply keeps the request's type of service (RFC 1122 §3.2.2.6) and its identification, which is as
    // unique for the way back as it was for the way here; header options are left out.
    const start = payload - IPV4_HEADER;
    const { typeOfService, identification } = ip;
    packet.start = start;
    writeIpv4Header(packet.view, start, packet.end, {
      typeOfService,
      identification,
      dontFragment: false,
      ttl: TTL,
      protocol: Protocol.icmp,
      source: destination,
      destination: source,
    });
    this.#deliver(circuit, packet);
  }
}
