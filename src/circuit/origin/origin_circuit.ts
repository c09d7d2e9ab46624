/**
 * A circuit as its proxy has it: the only place where the layers of all hops are.
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
  /** Its id on the link to the first hop. */
  readonly id: number;
  /** The first hop. */
  readonly neighbour: RouterIndex;
  /** Its kind. */
  readonly kind: CircuitKind;
  /** Address that answers go to, where the kind does not leave them as they are. */
  readonly replyTo: IpAddress;
  /** When it was last used, in ms. */
  usedAt = 0;
  readonly #layers: Layer[] = [];

  /** A circuit without layers. */
  constructor(id: number, neighbour: RouterIndex, kind: CircuitKind, replyTo: IpAddress) {
    this.id = id;
    this.neighbour = neighbour;
    this.kind = kind;
    this.replyTo = replyTo;
  }

  /** Adds the layer of the next hop. */
  addLayer(layer: Layer): void {
    this.#layers.push(layer);
  }

  /** Cells that its most used key has sealed. */
  get sent(): number {
    return this.#layers[0]?.sent ?? 0;
  }

  /**
   * Makes a cell of the body in `buffer`, in place.
   *
   * @returns false where a key may seal no more
   */
  seal(buffer: PacketBuffer, type: CellType): boolean {
    for (let hop = this.#layers.length - 1; hop >= 0; hop--) {
      if (!this.#layers[hop]!.seal(buffer, type)) return false;
    }
    wrapCell(buffer, type, this.id);
    return true;
  }

  /** Takes header and layers off the cell in `buffer`, in place: what is wrong with it, or undefined. */
  peel(buffer: PacketBuffer, type: CellType): LayerFault | undefined {
    unwrapCell(buffer);
    for (const layer of this.#layers) {
      const fault = layer.peel(buffer, type);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  /** Wipes the keys. The layers stay, so that sealing afterwards fails and sends nothing in the clear. */
  [Symbol.dispose](): void {
    for (const layer of this.#layers) layer[Symbol.dispose]();
  }
}
