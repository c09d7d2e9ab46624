/**
 * Builds one circuit, hop by hop.
 *
 * ```
 *   ┌──────────┐ created   ┌──────────┐ extended     ┌──────────┐ extended     ┌───────┐
 *   │ no hop   ├──────────►│ 1 hop    ├─────────────►│ 2 hops   ├─── … ───────►│ built │
 *   └──────────┘           └──────────┘              └──────────┘              └───────┘
 *    sends create           sends extend              sends extend
 * ```
 *
 * The builder sends each cell once. If an answer stays away, its owner gives the circuit up and
 * tries another path.
 *
 * @module
 */
import type { PacketBuffer } from "../../buffer/packet_buffer.ts";
import type { CellType } from "../../cell/cell.ts";
import { readExtend, writeExtend } from "../../cell/extend.ts";
import { Layer } from "../../crypto/layer.ts";
import { initiate, type Initiation } from "../../crypto/noise.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import { wipe } from "../../crypto/wipe.ts";
import type { Endpoint } from "../../ip/address.ts";
import type { DropReason } from "../../trace/counters.ts";
import type { Building } from "../kind.ts";
import { PROLOGUE } from "../prologue.ts";
import type { OriginCircuit } from "./origin_circuit.ts";
import type { RouterIndex } from "./path.ts";

/** A router as the proxy knows it. */
export interface RouterDescription {
  /** Its data link. */
  readonly link: Endpoint;
  /** Its static public key. Needed if circuits have layers. */
  readonly key?: Uint8Array<ArrayBuffer>;
}

/** The builder of one circuit. */
export class CircuitBuilder implements Disposable {
  /** The circuit, as far as it is built. */
  readonly circuit: OriginCircuit;
  readonly #routers: readonly RouterDescription[];
  readonly #crypto: CryptoProvider | undefined;
  readonly #building: Building;
  /** Number of hops that have answered. */
  #hops = 0;
  /** The handshake with the next hop, if the circuit has layers. */
  #handshake: Initiation | undefined;

  /**
   * Sends nothing yet.
   *
   * @param circuit a new circuit, of a kind that is built
   * @param crypto needed if the circuit has layers
   */
  constructor(
    circuit: OriginCircuit,
    routers: readonly RouterDescription[],
    crypto: CryptoProvider | undefined,
  ) {
    this.circuit = circuit;
    this.#routers = routers;
    this.#crypto = crypto;
    this.#building = circuit.kind.building!;
  }

  /** The router that must answer next; undefined once all have. */
  get next(): RouterIndex | undefined {
    return this.circuit.path[this.#hops];
  }

  /** The cell type of the expected answer. */
  get awaited(): CellType {
    return this.#hops === 0 ? this.#building.created : this.#building.extended;
  }

  /** Fills `buffer` with the create or extend cell for the next hop, which must exist. */
  ask(buffer: PacketBuffer): void {
    const { link, key } = this.#routers[this.next!]!;
    const { create, extend, hasLayers } = this.#building;
    let message = new Uint8Array();
    if (hasLayers) {
      this.#handshake = initiate(this.#crypto!, { remoteStatic: key!, prologue: PROLOGUE });
      message = this.#handshake.message;
    }
    if (this.#hops === 0) buffer.load(message);
    else writeExtend(buffer, link, message);
    this.circuit.seal(buffer, this.#hops === 0 ? create : extend);
  }

  /**
   * Takes an answer of the type {@linkcode CircuitBuilder.awaited}.
   *
   * @param cell the whole cell; its buffer is used up
   * @returns what is wrong with it, or undefined; after a fault the builder still waits for the
   * answer
   */
  take(cell: PacketBuffer): DropReason | undefined {
    const fault = this.circuit.peel(cell, this.awaited);
    if (fault !== undefined) return fault;
    if (!this.#building.hasLayers) {
      if (!this.#isFromNext(cell)) return "unexpected-cell";
    } else {
      const keys = this.#handshake!.finish(cell.copy());
      if (keys === undefined) return "bad-handshake";
      this.circuit.addLayer(new Layer(this.#crypto!, keys));
      wipe(keys.send, keys.receive);
      this.#handshake = undefined;
    }
    this.#hops++;
    return undefined;
  }

  /**
   * Whether the next hop gave this answer. The link identifies the first hop; others are named in
   * the answer.
   */
  #isFromNext(body: PacketBuffer): boolean {
    if (this.#hops > 0) {
      const { link } = this.#routers[this.next!]!;
      const from = readExtend(body);
      if (from?.address !== link.address || from.port !== link.port) return false;
    }
    return body.length === 0;
  }

  /** Wipes an unfinished handshake. The caller disposes of the circuit. */
  [Symbol.dispose](): void {
    this.#handshake?.[Symbol.dispose]();
    this.#handshake = undefined;
  }
}
