/**
 * Packets that wait for a circuit.
 *
 * @module
 */
import type { PacketBuffer } from "../../buffer/packet_buffer.ts";
import type { CircuitKey } from "./key.ts";

/** Limits of all queues together. */
const WAITING_LIMITS = { packets: 256, bytes: 1 << 20 } as const;

/** A queue for each key. All queues together are bounded. */
export class WaitingRoom {
  readonly #queues = new Map<CircuitKey, Uint8Array[]>();
  #packets = 0;
  #bytes = 0;

  /** Queues a copy of a packet. Returns false if there is no room. */
  add(key: CircuitKey, packet: PacketBuffer): boolean {
    if (this.#packets >= WAITING_LIMITS.packets || this.#bytes + packet.length > WAITING_LIMITS.bytes) {
      return false;
    }
    const queue = this.#queues.get(key) ?? [];
    queue.push(packet.copy());
    this.#queues.set(key, queue);
    this.#packets++;
    this.#bytes += packet.length;
    return true;
  }

  /** Removes and returns the packets of a key, in order. */
  take(key: CircuitKey): readonly Uint8Array[] {
    const queue = this.#queues.get(key) ?? [];
    this.#queues.delete(key);
    this.#packets -= queue.length;
    for (const packet of queue) this.#bytes -= packet.length;
    return queue;
  }
}
