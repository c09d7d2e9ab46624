/**
 * One layer of the onion: what a hop and the proxy share. A cell passes several, one within the other.
 *
 * ```
 *  | Counter, 8 bytes, little-endian | Ciphertext … | Tag, 16 bytes |
 * ```
 *
 * Each direction of a layer has a key of its own, and each layer counts for itself, from zero. Were a counter passed on
 * from layer to layer instead, the exit would choose the counters that the hops before it seal with on the way back, and could
 * make them use one twice under one key; ChaCha20-Poly1305 then gives away the contents and how to forge more.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { readUint64, writeUint64 } from "./aead.ts";
import { type Aead, type CryptoProvider, TAG } from "./provider.ts";
import { ReplayWindow } from "./replay_window.ts";

/** Bytes of a counter. */
const COUNTER = 8;

/**
 * Bytes that a layer adds to a cell.
 *
 * - 8, the counter, in front
 * - 16, the tag, behind
 */
export const LAYER_OVERHEAD: number = COUNTER + TAG;

/**
 * How many cells a layer may seal. Numbers in JavaScript are exact up to 2^53, and a million cells a second reach this
 * limit after nine years, so that it ends no circuit but a broken one.
 */
export const SEAL_LIMIT: number = 2 ** 48;

/** Why a layer does not come off: too short to be one; its counter was seen before or is too old; not authentic. */
export type LayerFault = "truncated" | "replayed" | "forged";

/** The two keys of a layer, as one end sees them. */
export interface LayerKeys {
  /** Seals what this end sends. */
  readonly send: Uint8Array<ArrayBuffer>;
  /** Opens what the other end sends. */
  readonly receive: Uint8Array<ArrayBuffer>;
}

/** One end of a layer. */
export class Layer implements Disposable {
  readonly #send: Aead;
  readonly #receive: Aead;
  readonly #sealLimit: number;
  readonly #window = new ReplayWindow();
  #sent = 0;

  /**
   * A layer that has sealed and peeled nothing yet.
   *
   * @param keys of a handshake, which belong to this layer alone; it copies them, and the caller wipes its own
   * @param sealLimit how many cells it may seal, {@linkcode SEAL_LIMIT} at most
   */
  constructor(provider: CryptoProvider, keys: LayerKeys, sealLimit: number = SEAL_LIMIT) {
    this.#sealLimit = Math.min(sealLimit, SEAL_LIMIT);
    this.#send = provider.aead(keys.send);
    this.#receive = provider.aead(keys.receive);
  }

  /** Cells sealed so far, which is also the next counter. */
  get sent(): number {
    return this.#sent;
  }

  /**
   * Puts the layer around what is in `buffer`.
   *
   * @param type of the cell that it travels in, which is authenticated with it: 0 to 255
   * @returns false, and nothing has been changed, where the layer has sealed as often as it may
   * @throws {RangeError} where the buffer has no room for it, and nothing has been changed
   */
  seal(buffer: PacketBuffer, type: number): boolean {
    if (this.#sent >= this.#sealLimit) return false;
    const { start, end, bytes, view } = buffer;
    if (start < COUNTER || end + TAG > bytes.length) {
      throw new RangeError(`no room for a layer around ${start} to ${end} in ${bytes.length} bytes`);
    }
    // Used up before it is used: whatever fails, no counter is ever sealed with twice.
    const counter = this.#sent++;
    writeUint64(view, start - COUNTER, counter);
    this.#send.seal(bytes, start, end, counter, additionalOf(type));
    buffer.start = start - COUNTER;
    buffer.end = end + TAG;
    return true;
  }

  /**
   * Takes the layer off what is in `buffer`.
   *
   * @returns why it does not come off: the layer is then as it was, the buffer too, and its bytes may be garbage
   */
  peel(buffer: PacketBuffer, type: number): LayerFault | undefined {
    const { start, end, bytes, view } = buffer;
    if (end - start < LAYER_OVERHEAD) return "truncated";
    const counter = readUint64(view, start);
    // Nobody who has the key seals with such a counter.
    if (counter >= SEAL_LIMIT) return "forged";
    if (!this.#window.isFresh(counter)) return "replayed";
    if (!this.#receive.open(bytes, start + COUNTER, end, counter, additionalOf(type))) return "forged";
    this.#window.accept(counter);
    buffer.start = start + COUNTER;
    buffer.end = end - TAG;
    return undefined;
  }

  /** Wipes both keys. */
  [Symbol.dispose](): void {
    this.#send[Symbol.dispose]();
    this.#receive[Symbol.dispose]();
  }
}

const additional: Uint8Array<ArrayBuffer>[] = [];

/** The additional data of a type: the first word of a cell's header. Circuit ids change from link to link. */
function additionalOf(type: number): Uint8Array<ArrayBuffer> {
  return additional[type] ??= Uint8Array.of(type, 0, 0, 0);
}
