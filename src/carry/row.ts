/**
 * A row of the table of carried protocols; see `table.ts`.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { IcmpFault } from "../ip/icmp.ts";
import type { Ipv4View } from "../ip/ipv4.ts";

/** Why a packet of a carried protocol is dropped. */
export type CarryFault =
  /** Too short, or damaged. */
  | IcmpFault
  /** A client may send no other ICMP message. */
  | "not-echo-request"
  /** Not a reply to a client, and not an error about its packet. */
  | "not-a-reply";

/** A protocol that the onion carries. */
export interface CarryRow {
  /**
   * Checks a packet on its way from a client to the world.
   *
   * @param packet a packet of this protocol, whole or a first fragment
   * @param ip shows the packet
   * @returns why the packet is dropped, or undefined
   */
  checkOutward(packet: PacketBuffer, ip: Ipv4View): CarryFault | undefined;
  /** Checks a packet on its way from the world to a client, likewise. */
  checkHomeward(packet: PacketBuffer, ip: Ipv4View): CarryFault | undefined;
  /**
   * The protocol's part of a flow key: the source port in the high 16 bits, the destination port in
   * the low ones; or what stands for them.
   *
   * @param payload offset of the protocol's header, of which at least 8 bytes are there
   */
  flowKey(view: DataView, payload: number): number;
}
