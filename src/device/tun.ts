/**
 * The interface of a TUN device: a source and sink of IP packets that never blocks.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";

/** A source and sink of IP packets. */
export interface Tun {
  /** The descriptor that is readable while packets wait; undefined for a device in memory. */
  readonly fd: number | undefined;
  /**
   * Fills `into` with the next packet.
   *
   * @returns false if none waits
   */
  receive(into: PacketBuffer): boolean;
  /**
   * Writes a packet. The buffer is free again afterwards.
   *
   * @returns false if it was refused
   */
  send(packet: PacketBuffer): boolean;
}
