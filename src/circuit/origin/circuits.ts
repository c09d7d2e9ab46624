/**
 * What a proxy's core wants of its circuits: the one for a packet, and the one that a cell came by.
 *
 * Where the circuits are given, there is one to each router from the start, and the destination says which. Where they
 * are built, each client gets one of its own by a random path; see `built.ts`.
 *
 * @module
 */
import type { PacketBuffer } from "../../buffer/packet_buffer.ts";
import type { DropReason } from "../../trace/counters.ts";
import { PLAIN } from "../dialect.ts";
import { OriginCircuit } from "./origin_circuit.ts";
import { routerFor, type RouterIndex } from "./path.ts";
import type { IpAddress } from "../../ip/address.ts";

/** What is to become of a packet for which there is no circuit. */
export type Without =
  /** One is being built: the packet may wait. */
  | "wait"
  /** There are as many as there may be. */
  | "full";

/** The circuits of a proxy. */
export interface Circuits {
  /** When {@linkcode Circuits.expire} next has something to do, in ms; Infinity for never. */
  readonly deadline: number;
  /** Does what is due. */
  expire(now: number): void;
  /** The open circuit for packets of a client to a destination, or what is to become of them. */
  choose(client: IpAddress, destination: IpAddress, now: number): OriginCircuit | Without;
  /** The circuit that has this id on the link to a router, open or still being built. */
  find(neighbour: RouterIndex, id: number): OriginCircuit | undefined;
  /**
   * A cell came that is no packet: it may be the answer that a build waits for.
   *
   * @param cell whole, and used up
   * @returns why it was dropped, or undefined
   */
  answer(circuit: OriginCircuit, cell: PacketBuffer, now: number): DropReason | undefined;
  /** Ends every circuit that has been built, at once: routers are told, keys are wiped. */
  closeAll(): void;
}

/** One circuit to each router, which both sides know of from the start. */
export class GivenCircuits implements Circuits {
  /** {@inheritDoc Circuits.deadline} */
  readonly deadline: number = Infinity;
  readonly #circuits: readonly OriginCircuit[];
  readonly #addresses: readonly (IpAddress | undefined)[];

  /**
   * Circuits that are open from the start.
   *
   * @param ids of the circuits, in the order of the routers
   * @param addresses that the routers leave by, in their order; undefined for one without
   */
  constructor(ids: readonly number[], addresses: readonly (IpAddress | undefined)[]) {
    this.#circuits = ids.map((id, router) => new OriginCircuit(id, router, PLAIN, undefined, true));
    this.#addresses = addresses;
  }

  /** {@inheritDoc Circuits.expire} */
  expire(): void {}

  /** {@inheritDoc Circuits.choose} */
  choose(_client: IpAddress, destination: IpAddress): OriginCircuit {
    return this.#circuits[routerFor(destination, this.#addresses)]!;
  }

  /** {@inheritDoc Circuits.find} */
  find(neighbour: RouterIndex, id: number): OriginCircuit | undefined {
    const circuit = this.#circuits[neighbour];
    return circuit?.id === id ? circuit : undefined;
  }

  /** {@inheritDoc Circuits.answer} */
  answer(): DropReason {
    return "unexpected-cell";
  }

  /** {@inheritDoc Circuits.closeAll} */
  closeAll(): void {}
}
