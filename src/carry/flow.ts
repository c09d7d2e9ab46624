/**
 * Flows: all packets of one conversation between a client and a remote host, both ways.
 *
 * A flow is known by its protocol, both addresses, and both ports. An ICMP echo's identifier stands
 * for the ports. An ICMP error belongs to the flow of the packet that it quotes, which went the
 * other way.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { addressKey, type IpAddress } from "../ip/address.ts";
import { icmpType, isIcmpError } from "../ip/icmp.ts";
import { findQuote } from "../ip/icmp_error.ts";
import {
  type Ipv4View,
  Protocol,
  type ProtocolName,
  quotedDestination,
  quotedProtocol,
  quotedSource,
} from "../ip/ipv4.ts";
import { rowsOf } from "./table.ts";

/** Which way a packet goes: from the client to the world, or from the world to the client. */
export type Direction = "outward" | "homeward";

/** Identifies a flow. A string, because a `Map` compares no other key of 104 bits by value. */
type FlowKey = string;

/**
 * The flow of a checked packet.
 *
 * @param packet the packet that `ip` shows
 * @returns undefined for a later fragment, which has no ports, and for a protocol without a row
 */
export function flowOf(packet: PacketBuffer, ip: Ipv4View, direction: Direction): FlowKey | undefined {
  const { view } = packet;
  const { protocol, source, destination, payload, end, fragmentOffset } = ip;
  if (fragmentOffset > 0) return undefined;
  if (protocol !== Protocol.icmp || !isIcmpError(icmpType(view, payload))) {
    return keyOf(protocol, source, destination, view, payload, direction);
  }
  const quote = findQuote(view, payload, end);
  if (quote === undefined) return undefined;
  return keyOf(
    quotedProtocol(view, quote.header),
    quotedSource(view, quote.header),
    quotedDestination(view, quote.header),
    view,
    quote.payload,
    direction === "outward" ? "homeward" : "outward",
  );
}

const ROWS = rowsOf(Object.keys(Protocol) as ProtocolName[]);

function keyOf(
  protocol: number,
  source: IpAddress,
  destination: IpAddress,
  view: DataView,
  payload: number,
  direction: Direction,
): FlowKey | undefined {
  const ports = ROWS[protocol]?.flowKey(view, payload);
  if (ports === undefined) return undefined;
  const from = addressKey(source, ports >>> 16);
  const to = addressKey(destination, ports & 0xffff);
  return direction === "outward" ? `${protocol} ${from} ${to}` : `${protocol} ${to} ${from}`;
}
