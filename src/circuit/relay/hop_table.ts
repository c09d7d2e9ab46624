/**
 * The circuits of one router.
 *
 * ```
 *   towards the proxy                                   towards the exit
 *   ──── incoming id, previous neighbour ────┤ hop ├──── outgoing id, next neighbour ────
 * ```
 *
 * @module
 */
import type { Layer } from "../../crypto/layer.ts";
import { type IpAddress, UNSPECIFIED } from "../../ip/address.ts";
import { Deadlines } from "../deadlines.ts";
import { CircuitIds } from "../ids.ts";
import type { Hop } from "../kind.ts";

/** The index of a neighbour on the data link, from 0. */
type Neighbour = number;

/** The next hop of a circuit: it was asked to create the circuit, or has created it. */
export interface NextHop {
  readonly kind: "extending" | "extended";
  /** The neighbour. */
  readonly neighbour: Neighbour;
  /** The circuit's id on the link to it. */
  readonly id: number;
}

/** A circuit at one of its routers. */
export class HopCircuit implements Hop {
  /** The next hop; undefined at the last one. */
  next: NextHop | undefined;
  /** {@inheritDoc Hop.replyTo} */
  replyTo: IpAddress = UNSPECIFIED;

  /**
   * A circuit that ends here.
   *
   * @param handle the router's own number of the circuit, which no other circuit ever has
   * @param previous the neighbour towards the proxy
   * @param incoming the circuit's id on the link to it
   * @param layer the layer of this hop; undefined if circuits have no layers
   * @param usedAt time of the last cell from the proxy, in ms
   */
  constructor(
    readonly handle: number,
    readonly previous: Neighbour,
    readonly incoming: number,
    readonly layer: Layer | undefined,
    public usedAt: number,
  ) {}
}

/** Limits of a router's table. */
export interface HopLimits {
  /** Maximum number of circuits. */
  readonly circuits: number;
  /** Time in ms without a cell from the proxy after which a circuit is removed. */
  readonly idle: number;
}

/** The defaults. A proxy replaces a circuit after ten minutes, and tears it down if it can. */
export const HOP_LIMITS: HopLimits = { circuits: 4096, idle: 660_000 };

/** The circuits of one router. */
export class HopTable {
  readonly #limits: HopLimits;
  readonly #ids: CircuitIds;
  readonly #byHandle = new Map<number, HopCircuit>();
  /** By the neighbour's index, then by the id on its link. */
  readonly #incoming: Map<number, HopCircuit>[];
  readonly #outgoing: Map<number, HopCircuit>[];
  /** When to check whether a circuit has been idle too long. */
  readonly #idle = new Deadlines<HopCircuit>();
  #lastHandle = 0;

  /**
   * An empty table.
   *
   * @param router the router's number, which its circuit ids contain
   * @param neighbours number of neighbours
   */
  constructor(router: number, neighbours: number, limits: HopLimits) {
    this.#limits = limits;
    this.#ids = new CircuitIds(router);
    this.#incoming = Array.from({ length: neighbours }, () => new Map());
    this.#outgoing = Array.from({ length: neighbours }, () => new Map());
  }

  /** Whether the table is full. */
  get isFull(): boolean {
    return this.#byHandle.size >= this.#limits.circuits;
  }

  /** Number of circuits. */
  get size(): number {
    return this.#byHandle.size;
  }

  /** When to call {@linkcode HopTable.expire} next, in ms; Infinity for never. */
  get deadline(): number {
    return this.#idle.next;
  }

  /** Adds a circuit. The id must be free on the link to `previous`. */
  add(previous: Neighbour, id: number, layer: Layer | undefined, now: number): HopCircuit {
    const circuit = this.#insert(previous, id, layer, now);
    this.#idle.set(circuit, now + this.#limits.idle);
    return circuit;
  }

  /** Adds a circuit that both ends know from the start. It never expires. */
  addDirect(previous: Neighbour, id: number): void {
    this.#insert(previous, id, undefined, 0);
  }

  /** Starts to extend a circuit to a neighbour. Chooses the id on that link. */
  extend(circuit: HopCircuit, neighbour: Neighbour): NextHop {
    const taken = this.#outgoing[neighbour]!;
    const next = { kind: "extending", neighbour, id: this.#ids.next((id) => taken.has(id)) } as const;
    circuit.next = next;
    taken.set(next.id, circuit);
    return next;
  }

  /** Notes that the next hop has created the circuit. */
  extended(circuit: HopCircuit, { neighbour, id }: NextHop): void {
    circuit.next = { kind: "extended", neighbour, id };
  }

  /** The circuit that comes from a neighbour with this id. */
  incoming(neighbour: Neighbour, id: number): HopCircuit | undefined {
    return this.#incoming[neighbour]!.get(id);
  }

  /** The circuit that goes on to a neighbour with this id. */
  outgoing(neighbour: Neighbour, id: number): HopCircuit | undefined {
    return this.#outgoing[neighbour]!.get(id);
  }

  /** The circuit with this handle. */
  byHandle(handle: number): HopCircuit | undefined {
    return this.#byHandle.get(handle);
  }

  /** Removes a circuit, and wipes its keys. */
  remove(circuit: HopCircuit): void {
    this.#byHandle.delete(circuit.handle);
    this.#idle.delete(circuit);
    this.#incoming[circuit.previous]!.delete(circuit.incoming);
    if (circuit.next !== undefined) this.#outgoing[circuit.next.neighbour]!.delete(circuit.next.id);
    circuit.layer?.[Symbol.dispose]();
  }

  /** Removes the circuits that come from a neighbour. */
  removeFrom(neighbour: Neighbour): void {
    for (const circuit of this.#incoming[neighbour]!.values()) this.remove(circuit);
  }

  /** Removes the circuits that go on to a neighbour. */
  removeTo(neighbour: Neighbour): void {
    for (const circuit of this.#outgoing[neighbour]!.values()) this.remove(circuit);
  }

  /** Removes the circuits that have been idle too long. */
  expire(now: number): void {
    for (let circuit; (circuit = this.#idle.take(now)) !== undefined;) {
      const until = circuit.usedAt + this.#limits.idle;
      if (until <= now) this.remove(circuit);
      else this.#idle.set(circuit, until);
    }
  }
  #insert(previous: Neighbour, id: number, layer: Layer | undefined, now: number): HopCircuit {
    const circuit = new HopCircuit(++this.#lastHandle, previous, id, layer, now);
    this.#byHandle.set(circuit.handle, circuit);
    this.#incoming[previous]!.set(id, circuit);
    return circuit;
  }
}
