/**
 * Ports: the first four bytes of both TCP and UDP headers (RFC 9293 §3.1, RFC 768).
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Ipv4View } from "./ipv4.ts";

/** Byte offsets in both headers. */
export const PortAt = { source: 0, destination: 2 } as const;

/** What a view of a TCP segment and one of a UDP datagram have in common. */
export abstract class PortsView {
  /** The view of the packet's buffer. */
  protected view: DataView = new DataView(new ArrayBuffer(0));
  /** Offset in the packet buffer of the header's first byte. */
  protected start = 0;

  /**
   * Shows what `packet` carries, after one check; the getters trust it from then on. Leaves the
   * checksum for the receiving host to verify.
   *
   * @param packet a whole packet or a first fragment, shown by `ip`; its protocol is the view's
   * @returns a fault, or undefined
   */
  wrap(packet: PacketBuffer, ip: Ipv4View): "bad-length" | undefined {
    if (!this.isComplete(packet.view, ip)) return "bad-length";
    this.view = packet.view;
    this.start = ip.payload;
    return undefined;
  }

  /** Whether every field that the view reads is in `view`, and every length in it is possible. */
  protected abstract isComplete(view: DataView, ip: Ipv4View): boolean;

  /** The source port. In UDP, 0 means that the sender expects no reply. */
  get sourcePort(): number {
    return this.view.getUint16(this.start + PortAt.source);
  }

  /** The destination port. */
  get destinationPort(): number {
    return this.view.getUint16(this.start + PortAt.destination);
  }
}
