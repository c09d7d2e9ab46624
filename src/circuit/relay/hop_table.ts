/**
 * A circuit as one of its routers has it, and the table of all of them.
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

/** A neighbour's place in the table of the data link, from 0. */
export type Neighbour = number;

/** Where a circuit goes on: to a neighbour that has been asked, or that has answered. */
export interface NextHop {
  readonly kind: "extending" | "extended";
  /** The neighbour. */
  readonly neighbour: Neighbour;
  /** The circuit's id on the link to it. */
  readonly id: number;
}

/** One circuit that passes a router, or ends there. */
export class HopCircuit implements Hop {
  /** A number of this router's own for it, which no other circuit gets. */
  readonly handle: number;
  /** The neighbour towards the proxy. */
  readonly previous: Neighbour;
  /** The circuit's id on the link to it. */
  readonly incoming: number;
  /** The layer between this hop and the proxy; undefined where the circuit has none. */
  readonly layer: Layer | undefined;
  /** Where it goes on; undefined at its last hop. */
  next: NextHop | undefined;
  /** {@inheritDoc Hop.replyTo} */
  replyTo: IpAddress = UNSPECIFIED;
  /** When it was last used, in ms. */
  usedAt = 0;

  constructor(
    handle: number,
    previous: Neighbour,
    incoming: number,
    layer: Layer | undefined,
    now: number,
  ) {
    this.handle = handle;
    this.previous = previous;
    this.incoming = incoming;
    this.layer = layer;
    this.usedAt = now;
  }
}

/** What a router's table may hold. */
export interface HopLimits {
  /** Circuits at a time. */
  readonly circuits: number;
  /** Milliseconds without a cell from the proxy after which a circuit is forgotten. */
  readonly idle: number;
}

/** The defaults: a proxy replaces its circuits every ten minutes, and tears them down when it can. */
export const HOP_LIMITS: HopLimits = { circuits: 4096, idle: 660_000 };

/** The circuits of one router. */
export class HopTable {
  readonly #limits: HopLimits;
  readonly #ids: CircuitIds;
  readonly #byHandle = new Map<number, HopCircuit>();
  /** By the neighbour, and the id on the link to it. */
  readonly #incoming: Map<number, HopCircuit>[];
  readonly #outgoing: Map<number, HopCircuit>[];
  /** When to look whether a circuit has been idle too long. */
  readonly #idle = new Deadlines<HopCircuit>();
  #lastHandle = 0;

  /**
   * @param router the router's number, which its ids tell
   * @param neighbours how many there are
   */
  constructor(router: number, neighbours: number, limits: HopLimits) {
    this.#limits = limits;
    this.#ids = new CircuitIds(router);
    this.#incoming = Array.from({ length: neighbours }, () => new Map());
    this.#outgoing = Array.from({ length: neighbours }, () => new Map());
  }

  /** Whether it takes no more circuits. */
  get isFull(): boolean {
    return this.#byHandle.size >= this.#limits.circuits;
  }

  /** Circuits at present. */
  get size(): number {
    return this.#byHandle.size;
  }

  /** When {@linkcode HopTable.expire} next has something to do, in ms. */
  get deadline(): number {
    return this.#idle.next;
  }

  /** Adds a circuit. Its id must be free on its link. */
  add(previous: Neighbour, id: number, layer: Layer | undefined, now: number): HopCircuit {
    const circuit = this.#insert(previous, id, layer, now);
    this.#idle.set(circuit, now + this.#limits.idle);
    return circuit;
  }

  /** Adds a circuit that both ends know from the start: it is never forgotten. */
  addFixed(previous: Neighbour, id: number): void {
    this.#insert(previous, id, undefined, 0);
  }

  /** Lets a circuit go on to a neighbour, by an id that is free there. */
  extend(circuit: HopCircuit, neighbour: Neighbour): NextHop {
    const taken = this.#outgoing[neighbour]!;
    const next = { kind: "extending", neighbour, id: this.#ids.next((id) => taken.has(id)) } as const;
    circuit.next = next;
    taken.set(next.id, circuit);
    return next;
  }

  /** The neighbour that a circuit goes on to has answered. */
  extended(circuit: HopCircuit, { neighbour, id }: NextHop): void {
    circuit.next = { kind: "extended", neighbour, id };
  }

  /** The circuit that a neighbour nearer to the proxy calls by this id. */
  incoming(neighbour: Neighbour, id: number): HopCircuit | undefined {
    return this.#incoming[neighbour]!.get(id);
  }

  /** The circuit that goes on to this neighbour by this id. */
  outgoing(neighbour: Neighbour, id: number): HopCircuit | undefined {
    return this.#outgoing[neighbour]!.get(id);
  }

  /** The circuit with this handle. */
  byHandle(handle: number): HopCircuit | undefined {
    return this.#byHandle.get(handle);
  }

  /** Forgets a circuit, and wipes its keys. */
  remove(circuit: HopCircuit): void {
    this.#byHandle.delete(circuit.handle);
    this.#idle.delete(circuit);
    this.#incoming[circuit.previous]!.delete(circuit.incoming);
    if (circuit.next !== undefined) this.#outgoing[circuit.next.neighbour]!.delete(circuit.next.id);
    circuit.layer?.[Symbol.dispose]();
  }

  /** Forgets the circuits that have been idle too long. */
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
