/**
 * Building one circuit, hop by hop.
 *
 * ```
 *   ┌──────────┐ created   ┌──────────┐ extended     ┌──────────┐ extended     ┌───────┐
 *   │ no hop   ├──────────►│ 1 hop    ├─────────────►│ 2 hops   ├─── … ───────►│ built │
 *   └──────────┘           └──────────┘              └──────────┘              └───────┘
 *    sends create           sends extend              sends extend
 * ```
 *
 * Each cell is sent once. The owner notices a missing answer, gives this circuit up and tries another path.
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

/** A router as a proxy has to know it to build circuits by it. */
export interface RouterDescription {
  /** Where its data link is. */
  readonly link: Endpoint;
  /** Its static public key; needed where circuits are sealed. */
  readonly key?: Uint8Array<ArrayBuffer>;
}

/** Builds one circuit. */
export class CircuitBuilder implements Disposable {
  readonly circuit: OriginCircuit;
  /** The routers that it is to pass, in order. */
  readonly path: readonly RouterIndex[];
  readonly #routers: readonly RouterDescription[];
  readonly #crypto: CryptoProvider | undefined;
  readonly #building: Building;
  /** Hops that have answered. */
  #hops = 0;
  /** The handshake with the hop that is to answer next, where the circuit has layers. */
  #handshake: Initiation | undefined;

  /**
   * Nothing has been sent yet.
   *
   * @param circuit of a kind that is built
   * @param crypto needed where the circuit has layers
   */
  constructor(
    circuit: OriginCircuit,
    path: readonly RouterIndex[],
    routers: readonly RouterDescription[],
    crypto: CryptoProvider | undefined,
  ) {
    this.circuit = circuit;
    this.path = path;
    this.#routers = routers;
    this.#crypto = crypto;
    this.#building = circuit.kind.building!;
  }

  /** The router that is to answer next; undefined once all have. */
  get next(): RouterIndex | undefined {
    return this.path[this.#hops];
  }

  /** The type of the answer that is waited for. */
  get awaited(): CellType {
    return this.#hops === 0 ? this.#building.created : this.#building.extended;
  }

  /** Makes `buffer` hold the cell that asks the next hop. There is one. */
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
   * Takes an answer of the {@linkcode CircuitBuilder.awaited} type: what is wrong with it, or undefined. After a fault, the
   * build waits as before.
   *
   * @param cell whole, and used up
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

  /** Whether an answer in the clear is from the hop that was asked: the first is known by its link, the others are named. */
  #isFromNext(body: PacketBuffer): boolean {
    if (this.#hops > 0) {
      const { link } = this.#routers[this.next!]!;
      const who = readExtend(body);
      if (who?.address !== link.address || who.port !== link.port) return false;
    }
    return body.length === 0;
  }

  /** Wipes what is left of a handshake; the circuit is its owner's. */
  [Symbol.dispose](): void {
    this.#handshake?.[Symbol.dispose]();
    this.#handshake = undefined;
  }
}
