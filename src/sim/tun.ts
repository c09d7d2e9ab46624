/**
 * A TUN interface in memory: the test plays the kernel.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Tun } from "../device/tun.ts";

/** A TUN without a kernel: {@linkcode MemoryTun.inject} what the host sends, {@linkcode MemoryTun.take} what it gets. */
export class MemoryTun implements Tun {
  readonly #towardsOnion: Uint8Array[] = [];
  #towardsHost: Uint8Array<ArrayBuffer>[] = [];

  /** The host sends an IP packet into the interface. */
  inject(packet: Uint8Array): void {
    this.#towardsOnion.push(packet.slice());
  }

  /** The packets that the host has received since it was last asked, in order. */
  take(): Uint8Array<ArrayBuffer>[] {
    const taken = this.#towardsHost;
    this.#towardsHost = [];
    return taken;
  }

  /** {@inheritDoc Tun.receive} */
  receive(into: PacketBuffer): boolean {
    const packet = this.#towardsOnion.shift();
    if (packet === undefined) return false;
    into.load(packet);
    return true;
  }

  /** {@inheritDoc Tun.send} */
  send(packet: PacketBuffer): boolean {
    this.#towardsHost.push(packet.copy());
    return true;
  }
}
