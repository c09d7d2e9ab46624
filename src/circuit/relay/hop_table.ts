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
import { CircuitIds } from "../ids.ts";
import { type IpAddress, UNSPECIFIED } from "../../ip/address.ts";

/** A neighbour's place in the table of the data link, from 0. */
export type Neighbour = number;

/** Where a circuit goes on. */
export interface NextHop {
  /** The neighbour. */
  readonly neighbour: Neighbour;
  /** The circuit's id on the link to it. */
  readonly id: number;
  /** Whether it has answered. */
  isOpen: boolean;
}

/** One circuit that passes a router, or ends there. */
export class HopCircuit {
  /** A number of this router's own for it, which no other circuit gets. */
  readonly handle: number;
  /** The neighbour towards the proxy. */
  readonly previous: Neighbour;
  /** The circuit's id on the link to it. */
  readonly incoming: number;
  /** Whether it was there from the start. */
  readonly isGiven: boolean;
  /** The layer between this hop and the proxy; absent where the circuit is plain. */
  readonly layer: Layer | undefined;
  /** Where it goes on; absent at its last hop. */
  next: NextHop | undefined;
  /** Whom the packets came from that went by it: who gets the answers. */
  source: IpAddress = UNSPECIFIED;
  /** When it was last used, in ms. */
  usedAt = 0;

  constructor(
    handle: number,
    previous: Neighbour,
    incoming: number,
    isGiven: boolean,
    layer: Layer | undefined,
    now: number,
  ) {
    this.handle = handle;
    this.previous = previous;
    this.incoming = incoming;
    this.isGiven = isGiven;
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

/** The usual limits: a proxy replaces its circuits every ten minutes, and says so when it can. */
export const HOP_LIMITS: HopLimits = { circuits: 4096, idle: 660_000 };

/** The circuits of one router. */
export class HopTable {
  readonly #limits: HopLimits;
  readonly #ids: CircuitIds;
  readonly #byHandle = new Map<number, HopCircuit>();
  /** By the neighbour, and the id on the link to it. */
  readonly #incoming: Map<number, HopCircuit>[];
  readonly #outgoing: Map<number, HopCircuit>[];
  #lastHandle = 0;
  #lookAt = Infinity;

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
    return this.#lookAt;
  }

  /** Adds a circuit that begins here. Its id must be free on its link. */
  add(previous: Neighbour, id: number, isGiven: boolean, layer: Layer | undefined, now: number): HopCircuit {
    const circuit = new HopCircuit(++this.#lastHandle, previous, id, isGiven, layer, now);
    this.#byHandle.set(circuit.handle, circuit);
    this.#incoming[previous]!.set(id, circuit);
    if (!isGiven && this.#lookAt === Infinity) this.#lookAt = now + this.#limits.idle;
    return circuit;
  }

  /** Lets a circuit go on to a neighbour, by an id that is free there. */
  extend(circuit: HopCircuit, neighbour: Neighbour): NextHop {
    const taken = this.#outgoing[neighbour]!;
    const next = { neighbour, id: this.#ids.next((id) => taken.has(id)), isOpen: false };
    circuit.next = next;
    taken.set(next.id, circuit);
    return next;
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
    this.#incoming[circuit.previous]!.delete(circuit.incoming);
    if (circuit.next !== undefined) this.#outgoing[circuit.next.neighbour]!.delete(circuit.next.id);
    circuit.layer?.[Symbol.dispose]();
  }

  /** Forgets the circuits that nobody has used for too long: within a quarter of that time, rather than looking often. */
  expire(now: number): void {
    if (now < this.#lookAt) return;
    let builtOnes = 0;
    for (const circuit of this.#byHandle.values()) {
      if (circuit.isGiven) continue;
      if (circuit.usedAt + this.#limits.idle <= now) this.remove(circuit);
      else builtOnes++;
    }
    this.#lookAt = builtOnes === 0 ? Infinity : now + this.#limits.idle / 4;
  }
}
