/**
 * Packets that wait for a circuit.
 *
 * @module
 */
import type { PacketBuffer } from "../../buffer/packet_buffer.ts";
import type { CircuitKey } from "./key.ts";

/** What may wait for all circuits together. */
const MOST = { packets: 256, bytes: 1 << 20 } as const;

/** A bounded queue for each key. */
export class WaitingRoom {
  readonly #queues = new Map<CircuitKey, Uint8Array[]>();
  #packets = 0;
  #bytes = 0;

  /** Takes a copy of a packet: false where there is no room. */
  add(key: CircuitKey, packet: PacketBuffer): boolean {
    if (this.#packets >= MOST.packets || this.#bytes + packet.length > MOST.bytes) return false;
    const queue = this.#queues.get(key) ?? [];
    queue.push(packet.copy());
    this.#queues.set(key, queue);
    this.#packets++;
    this.#bytes += packet.length;
    return true;
  }

  /** Hands out what has waited for the circuit of a key, in order. */
  take(key: CircuitKey): readonly Uint8Array[] {
    const queue = this.#queues.get(key) ?? [];
    this.#queues.delete(key);
    this.#packets -= queue.length;
    for (const packet of queue) this.#bytes -= packet.length;
    return queue;
  }
}
