/**
 * A TUN interface in memory. The caller plays the kernel.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Tun } from "../device/tun.ts";

/**
 * A TUN interface without a kernel: `inject` what the host sends, `take` what the host receives.
 */
export class MemoryTun implements Tun {
  /** {@inheritDoc Tun.fd} */
  readonly fd: undefined = undefined;
  readonly #towardsOnion: Uint8Array[] = [];
  #towardsHost: Uint8Array<ArrayBuffer>[] = [];

  /** Sends an IP packet into the interface, as the host would. The packet is copied. */
  inject(packet: Uint8Array): void {
    this.#towardsOnion.push(packet.slice());
  }

  /** Returns the packets that the host has received since the last call, in order. */
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
