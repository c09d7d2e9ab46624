/**
 * Packets that wait for a circuit.
 *
 * @module
 */
import type { PacketBuffer } from "../../buffer/packet_buffer.ts";
import type { IpAddress } from "../../ip/address.ts";

/** What may wait for all clients together. */
const MOST = { packets: 256, bytes: 1 << 20 } as const;

/** A bounded queue for each client. */
export class WaitingRoom {
  readonly #queues = new Map<IpAddress, Uint8Array[]>();
  #packets = 0;
  #bytes = 0;

  /** Takes a copy of a packet: false where there is no room. */
  add(client: IpAddress, packet: PacketBuffer): boolean {
    if (this.#packets >= MOST.packets || this.#bytes + packet.length > MOST.bytes) return false;
    const queue = this.#queues.get(client) ?? [];
    queue.push(packet.copy());
    this.#queues.set(client, queue);
    this.#packets++;
    this.#bytes += packet.length;
    return true;
  }

  /** Hands out what has waited for a client, in order. */
  take(client: IpAddress): readonly Uint8Array[] {
    const queue = this.#queues.get(client) ?? [];
    this.#queues.delete(client);
    this.#packets -= queue.length;
    for (const packet of queue) this.#bytes -= packet.length;
    return queue;
  }
}
