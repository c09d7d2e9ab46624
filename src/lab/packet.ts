/**
 * What can be read in an IP packet, as far as a demo tells of it. Pure.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import { echoSequence, icmpFault, IcmpType, icmpType } from "../ip/icmp.ts";
import { formatIpv4, Ipv4View, Protocol } from "../ip/ipv4.ts";

/** An IP packet. */
export interface Packet {
  readonly source: string;
  readonly destination: string;
  /** See `Protocol`. */
  readonly protocol: number;
  /** The ICMP type; absent where it is none, or a later fragment of one. */
  readonly type: number | undefined;
  /** The sequence number of an echo message. */
  readonly sequence: number | undefined;
}

/** The source of a packet that is not to tell who has sent it. */
export const NOBODY = "0.0.0.0";

/** Reads a packet; undefined where these bytes are none. */
export function readPacket(bytes: Uint8Array): Packet | undefined {
  const buffer = new PacketBuffer(bytes.length);
  buffer.load(bytes);
  const ip = new Ipv4View();
  if (ip.wrap(buffer) !== undefined) return undefined;
  const isMessage = ip.protocol === Protocol.icmp && ip.fragmentOffset === 0 &&
    icmpFault(buffer.view, ip.payload, ip.end, !ip.moreFragments) === undefined;
  const type = isMessage ? icmpType(buffer.view, ip.payload) : undefined;
  const isEcho = type === IcmpType.echoRequest || type === IcmpType.echoReply;
  return {
    source: formatIpv4(ip.source),
    destination: formatIpv4(ip.destination),
    protocol: ip.protocol,
    type,
    sequence: isEcho ? echoSequence(buffer.view, ip.payload) : undefined,
  };
}

/** ICMP messages in words. */
const KINDS: Readonly<Record<number, string>> = {
  [IcmpType.echoReply]: "echo reply",
  [IcmpType.destinationUnreachable]: "destination unreachable",
  [IcmpType.echoRequest]: "echo request",
  [IcmpType.timeExceeded]: "time exceeded",
};

/** What a packet is, in words. */
export function kindOf({ protocol, type }: Packet): string {
  if (protocol !== Protocol.icmp) return `protocol ${protocol}`;
  return type === undefined ? "ICMP fragment" : KINDS[type] ?? `ICMP type ${type}`;
}

/** A packet in words: `10.5.51.2 → 10.5.51.7 echo request`. */
export function packetText(packet: Packet): string {
  return `${packet.source} → ${packet.destination} ${kindOf(packet)}`;
}
