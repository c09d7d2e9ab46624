/**
 * A device in memory. The caller plays the other side: the host, or the world.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";

/** The two queues of a device in memory. */
export abstract class MemoryPackets {
  /** A device in memory has no descriptor. */
  readonly fd: undefined = undefined;
  readonly #towardsOnion: Uint8Array[] = [];
  #fromOnion: Uint8Array<ArrayBuffer>[] = [];

  /** Sends an IP packet to the onion, without the checks of a kernel. The packet is copied. */
  inject(packet: Uint8Array): void {
    this.#towardsOnion.push(packet.slice());
  }

  /** Returns the IP packets that have left the onion since the last call, in order. */
  take(): Uint8Array<ArrayBuffer>[] {
    const taken = this.#fromOnion;
    this.#fromOnion = [];
    return taken;
  }

  /** Fills `into` with the next packet. Returns false if none waits. */
  receive(into: PacketBuffer): boolean {
    const packet = this.#towardsOnion.shift();
    if (packet === undefined) return false;
    into.load(packet);
    return true;
  }

  /** Keeps a packet for {@linkcode MemoryPackets.take}. */
  protected leave(packet: PacketBuffer): void {
    this.#fromOnion.push(packet.copy());
  }
}
