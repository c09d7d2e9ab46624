/**
 * A circuit at the proxy, the only party that has the layers of all hops.
 *
 * ```
 *   seal:  packet ─► layer of the last hop ─► … ─► layer of the first hop ─► cell header
 *   peel:  packet ◄─ layer of the last hop ◄─ … ◄─ layer of the first hop ◄─ cell header
 * ```
 *
 * @module
 */
import type { PacketBuffer } from "../../buffer/packet_buffer.ts";
import { type CellType, unwrapCell, wrapCell } from "../../cell/cell.ts";
import type { Layer, LayerFault } from "../../crypto/layer.ts";
import type { IpAddress } from "../../ip/address.ts";
import type { CircuitKind } from "../kind.ts";
import type { RouterIndex } from "./path.ts";

/** One circuit, from the proxy to its last hop. */
export class OriginCircuit implements Disposable {
  /** Time of the last packet, in ms. */
  usedAt = 0;
  /** The router that is its first hop. */
  readonly neighbour: RouterIndex;
  readonly #layers: Layer[] = [];

  /**
   * A new circuit, without layers.
   *
   * @param id its id on the link to the first hop
   * @param path its routers, in order; at least one
   * @param kind the kind of circuit
   * @param replyTo the address that replies go to, if the kind rewrites or checks them
   */
  constructor(
    readonly id: number,
    readonly path: readonly RouterIndex[],
    readonly kind: CircuitKind,
    readonly replyTo: IpAddress,
  ) {
    this.neighbour = path[0]!;
  }

  /** Adds the layer of the next hop. */
  addLayer(layer: Layer): void {
    this.#layers.push(layer);
  }

  /** Number of cells sealed with the key of the first hop, which is the most used one. */
  get sent(): number {
    return this.#layers[0]?.sent ?? 0;
  }

  /**
   * Turns the body in `buffer` into a cell, in place.
   *
   * @returns false if a key has reached its limit
   */
  seal(buffer: PacketBuffer, type: CellType): boolean {
    for (let hop = this.#layers.length - 1; hop >= 0; hop--) {
      if (!this.#layers[hop]!.seal(buffer, type)) return false;
    }
    wrapCell(buffer, type, this.id);
    return true;
  }

  /**
   * Removes the header and all layers from the cell in `buffer`, in place.
   *
   * @returns why a layer does not come off, or undefined
   */
  peel(buffer: PacketBuffer, type: CellType): LayerFault | undefined {
    unwrapCell(buffer);
    for (const layer of this.#layers) {
      const fault = layer.peel(buffer, type);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  /**
   * Wipes the keys. The layers stay, so that later sealing fails and sends nothing in the clear.
   */
  [Symbol.dispose](): void {
    for (const layer of this.#layers) layer[Symbol.dispose]();
  }
}
