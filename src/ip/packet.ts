/**
 * An IP packet as one small value, for programs that explain packets. The packet path uses
 * {@linkcode Ipv4View} instead, which allocates nothing.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import { formatIp, UNSPECIFIED } from "./address.ts";
import { echoIdentifier, echoSequence, icmpCode, icmpFault, IcmpType, icmpType } from "./icmp.ts";
import { Ipv4View, Protocol } from "./ipv4.ts";

/** What can be read in an IP packet. */
export interface Packet {
  /** Source address, e.g. `10.5.51.2`. */
  readonly source: string;
  /** Destination address. */
  readonly destination: string;
  /** Hops that the packet may still take. */
  readonly ttl: number;
  /** Number of the protocol inside; 1 is ICMP. */
  readonly protocol: number;
  /** ICMP type; undefined for other protocols, later fragments and damaged messages. */
  readonly type: number | undefined;
  /** ICMP code; undefined whenever `type` is. */
  readonly code: number | undefined;
  /** Identifier of an echo message; undefined for all others. */
  readonly identifier: number | undefined;
  /** Sequence number of an echo message; undefined for all others. */
  readonly sequence: number | undefined;
}

/** The source of a packet that must not tell its sender. */
export const NOBODY: string = formatIp(UNSPECIFIED);

/** Parses an IPv4 packet. Returns undefined if the bytes are not a valid one. */
export function parsePacket(bytes: Uint8Array): Packet | undefined {
  const buffer = new PacketBuffer(bytes.length);
  buffer.load(bytes);
  const ip = new Ipv4View();
  if (ip.wrap(buffer) !== undefined) return undefined;
  const { source, destination, ttl, protocol, payload, fragmentOffset } = ip;
  const isMessage = protocol === Protocol.icmp && fragmentOffset === 0 &&
    icmpFault(buffer, ip) === undefined;
  const type = isMessage ? icmpType(buffer.view, payload) : undefined;
  const isEcho = type === IcmpType.echoRequest || type === IcmpType.echoReply;
  return {
    source: formatIp(source),
    destination: formatIp(destination),
    ttl,
    protocol,
    type,
    code: isMessage ? icmpCode(buffer.view, payload) : undefined,
    identifier: isEcho ? echoIdentifier(buffer.view, payload) : undefined,
    sequence: isEcho ? echoSequence(buffer.view, payload) : undefined,
  };
}

/** ICMP messages in words. */
const KINDS: Readonly<Record<number, string>> = {
  [IcmpType.echoReply]: "echo reply",
  [IcmpType.destinationUnreachable]: "destination unreachable",
  [IcmpType.echoRequest]: "echo request",
  [IcmpType.timeExceeded]: "time exceeded",
};

/** The kind of a packet in words, e.g. `echo request`. */
export function kindOf({ protocol, type }: Pick<Packet, "protocol" | "type">): string {
  if (protocol !== Protocol.icmp) return `protocol ${protocol}`;
  return type === undefined ? "ICMP fragment" : KINDS[type] ?? `ICMP type ${type}`;
}

/** A packet in words, e.g. `10.5.51.2 → 10.5.51.7 echo request`. */
export function formatPacket(packet: Packet): string {
  return `${packet.source} → ${packet.destination} ${kindOf(packet)}`;
}
