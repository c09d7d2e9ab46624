/**
 * The protocols that the onion can carry. Each stage names those that it does carry. Proxy and
 * router apply their checks.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { type Ipv4View, Protocol, type ProtocolName } from "../ip/ipv4.ts";
import { ICMP } from "./icmp.ts";
import { TCP, UDP } from "./ports.ts";
import type { CarryFault, CarryRow } from "./row.ts";

/** The row of each protocol. */
export const CARRY_TABLE: Readonly<Record<ProtocolName, CarryRow>> = { icmp: ICMP, tcp: TCP, udp: UDP };

/** The rows of these protocols, by protocol number. */
export function rowsOf(protocols: readonly ProtocolName[]): readonly (CarryRow | undefined)[] {
  const rows = new Array<CarryRow | undefined>(256).fill(undefined);
  for (const name of protocols) rows[Protocol[name]] = CARRY_TABLE[name];
  return rows;
}

/** The checks for the protocols that a network carries. */
export class CarryChecks {
  readonly #rows: ReturnType<typeof rowsOf>;

  /** @param protocols that the network carries */
  constructor(protocols: readonly ProtocolName[]) {
    this.#rows = rowsOf(protocols);
  }

  /** Whether the network carries a protocol. */
  has(protocol: number): boolean {
    return this.#rows[protocol] !== undefined;
  }

  /**
   * Checks a packet on its way from a client to the world. Of a later fragment, checks only the
   * protocol, because it has no transport header.
   *
   * @param packet the packet that `ip` shows
   * @returns why the packet is dropped, or undefined
   */
  outward(packet: PacketBuffer, ip: Ipv4View): CarryFault | "not-carried" | undefined {
    const row = this.#rows[ip.protocol];
    if (row === undefined) return "not-carried";
    return ip.fragmentOffset > 0 ? undefined : row.checkOutward(packet, ip);
  }

  /** Checks a packet on its way from the world to a client, likewise. */
  homeward(packet: PacketBuffer, ip: Ipv4View): CarryFault | "not-carried" | undefined {
    const row = this.#rows[ip.protocol];
    if (row === undefined) return "not-carried";
    return ip.fragmentOffset > 0 ? undefined : row.checkHomeward(packet, ip);
  }
}
