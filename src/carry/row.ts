/**
 * What the onion has to know of a protocol that it carries: a row of the table in `table.ts`.
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
  /** Neither a reply to a client nor an error about its packet. */
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
  /** Checks a packet on its way from the world to a client. Takes and returns the same. */
  checkHomeward(packet: PacketBuffer, ip: Ipv4View): CarryFault | undefined;
  /**
   * The part of a flow's key that this protocol has, as two 16-bit numbers in one: the source port in the high half, the
   * destination port in the low one, or whatever stands for them.
   *
   * @param payload offset of the protocol's header, of which at least 8 bytes are there
   */
  flowKey(view: DataView, payload: number): number;
}
