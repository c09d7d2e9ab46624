/**
 * A TUN interface in memory. The caller plays the kernel.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Tun } from "../device/tun.ts";
import { MemoryPackets } from "./packets.ts";

/**
 * A TUN interface without a kernel: `inject` what the host sends, `take` what the host receives.
 */
export class MemoryTun extends MemoryPackets implements Tun {
  /** {@inheritDoc Tun.send} */
  send(packet: PacketBuffer): boolean {
    this.leave(packet);
    return true;
  }
}
