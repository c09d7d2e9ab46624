/**
 * One layer of the onion, which a hop and the proxy share. The layers of a cell nest.
 *
 * ```
 *  | Counter, 8 bytes, little-endian | Ciphertext … | Tag, 16 bytes |
 * ```
 *
 * Each direction of a layer has its own key, and each layer counts its own cells from zero. If
 * layers passed a counter on, the exit would choose the counters of the hops before it. It could
 * make them use one counter twice under one key. ChaCha20-Poly1305 would then reveal contents and
 * allow forgery.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { readUint64, writeUint64 } from "./aead.ts";
import { type Aead, type Bytes, type CryptoProvider, TAG } from "./provider.ts";
import { ReplayWindow } from "./replay_window.ts";

/** Bytes of a counter. */
const COUNTER = 8;

/**
 * Bytes that a layer adds to a cell.
 *
 * - 8 of the counter, in front
 * - 16 of the tag, at the end
 */
export const LAYER_OVERHEAD: number = COUNTER + TAG;

/**
 * Maximum number of cells that a layer seals. JavaScript numbers are exact up to 2^53. At a million
 * cells per second, a layer reaches this limit after nine years.
 */
export const SEAL_LIMIT: number = 2 ** 48;

/**
 * Why a layer cannot be removed: there are too few bytes, the counter is old or was seen before, or
 * the bytes are not authentic.
 */
export type LayerFault = "truncated" | "replayed" | "forged";

/** The two keys of a layer, from the view of one end. */
export interface LayerKeys {
  /** Seals the cells that this end sends. */
  readonly send: Bytes;
  /** Opens the cells that the other end sends. */
  readonly receive: Bytes;
}

/** One end of a layer. */
export class Layer implements Disposable {
  readonly #send: Aead;
  readonly #receive: Aead;
  readonly #sealLimit: number;
  readonly #window = new ReplayWindow();
  #sent = 0;

  /**
   * A new layer.
   *
   * @param keys from a handshake, for this layer only; the layer copies them, and the caller wipes
   * its copy
   * @param sealLimit maximum number of cells to seal, at most {@linkcode SEAL_LIMIT}
   */
  constructor(provider: CryptoProvider, keys: LayerKeys, sealLimit: number = SEAL_LIMIT) {
    this.#sealLimit = Math.min(sealLimit, SEAL_LIMIT);
    this.#send = provider.aead(keys.send);
    this.#receive = provider.aead(keys.receive);
  }

  /** Number of cells sealed so far, which is the next counter. */
  get sent(): number {
    return this.#sent;
  }

  /**
   * Seals the contents of `buffer`, in place.
   *
   * @param type the cell type, 0 to 255, which is authenticated too
   * @returns false if the layer has reached its limit; then nothing has changed
   * @throws {RangeError} if the buffer has no room for the layer; then nothing has changed
   */
  seal(buffer: PacketBuffer, type: number): boolean {
    if (this.#sent >= this.#sealLimit) return false;
    const { start, end, bytes, view } = buffer;
    if (start < COUNTER || end + TAG > bytes.length) {
      throw new RangeError(`no room for a layer around ${start} to ${end} in ${bytes.length} bytes`);
    }
    // Count first: even if sealing fails, no counter is used twice.
    const counter = this.#sent++;
    writeUint64(view, start - COUNTER, counter);
    this.#send.seal(bytes, start, end, counter, additionalOf(type));
    buffer.start = start - COUNTER;
    buffer.end = end + TAG;
    return true;
  }

  /**
   * Removes the layer from the contents of `buffer`, in place.
   *
   * @returns why it cannot be removed, or undefined; after a fault, layer and buffer are unchanged,
   * but the bytes may be garbage
   */
  peel(buffer: PacketBuffer, type: number): LayerFault | undefined {
    const { start, end, bytes, view } = buffer;
    if (end - start < LAYER_OVERHEAD) return "truncated";
    const counter = readUint64(view, start);
    // The other end never seals with such a counter.
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

const additional: Bytes[] = [];

/**
 * The additional data for a type: the first word of the cell header. The circuit id is not part of
 * it, because it changes on every link.
 */
function additionalOf(type: number): Bytes {
  return additional[type] ??= Uint8Array.of(type, 0, 0, 0);
}
