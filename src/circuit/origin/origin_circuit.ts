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
import type { Dialect } from "../dialect.ts";
import type { RouterIndex } from "./path.ts";
import type { IpAddress } from "../../ip/address.ts";

/** One circuit, from the proxy to its last hop. */
export class OriginCircuit implements Disposable {
  /** Its id on the link to the first hop. */
  readonly id: number;
  /** The first hop. */
  readonly neighbour: RouterIndex;
  /** How its cells are written. */
  readonly dialect: Dialect;
  /** Whether it was there from the start, and leads to one router in the clear. */
  readonly isGiven: boolean;
  /** Whose packets it carries; 0 for everybody's, where they keep their source address. */
  readonly client: IpAddress | undefined;
  /** Whether it has been built to its last hop. */
  isOpen: boolean;
  /** When it was last used, in ms. */
  usedAt = 0;
  readonly #layers: Layer[] = [];

  /** A circuit without layers; a given one is open. */
  constructor(
    id: number,
    neighbour: RouterIndex,
    dialect: Dialect,
    client: IpAddress | undefined,
    isGiven: boolean,
  ) {
    this.id = id;
    this.neighbour = neighbour;
    this.dialect = dialect;
    this.client = client;
    this.isGiven = isGiven;
    this.isOpen = isGiven;
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

  /** Wipes the keys. The layers stay, so that whoever sealed with them afterwards would fail, and not send in the clear. */
  [Symbol.dispose](): void {
    for (const layer of this.#layers) layer[Symbol.dispose]();
  }
}
