/**
 * What a TUN interface is to the rest of onion: a source and a sink of IP packets that never blocks.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";

/** A source and sink of IP packets. */
export interface Tun {
  /** The descriptor that is readable while packets wait; undefined for a device in memory. */
  readonly fd: number | undefined;
  /**
   * Fills `into` with the next waiting packet.
   *
   * @returns false when none waits
   */
  receive(into: PacketBuffer): boolean;
  /**
   * Writes the packet in `packet`; it may be used again afterwards.
   *
   * @returns false when it was refused
   */
  send(packet: PacketBuffer): boolean;
}
