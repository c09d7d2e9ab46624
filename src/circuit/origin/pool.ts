/**
 * The circuits of a proxy: one for each key, built by a random path and replaced before its life ends. A circuit that
 * both ends know from the start is open for ever.
 *
 * ```
 *   ┌──────────┐ expire, or the first packet
 *   │ expected ├─────┐
 *   └──────────┘     ▼   built                 replaceAt, if it is in use
 *               ┌────────┐ ──────────► ┌──────┐ ───────────────────────► ┌───────────┐
 *               │ trying │             │ open │                          │ replacing │
 *               └────────┘             └──────┘ ◄─────────────────────── └───────────┘
 *                 │    ▲                 │        built: the old circuit drains │
 *                 │    └─────────────────┼──────────────────────────────────────┘ closeAt
 *                 ▼ giveUpAt             ▼ replaceAt, if nobody has used it lately; closeAt
 *                gone                   gone
 *
 *   an attempt, while trying or replacing:   building ── no answer ──► pausing ── until ──► building, by another path
 * ```
 *
 * A core without I/O.
 *
 * @module
 */
import { PacketBuffer } from "../../buffer/packet_buffer.ts";
import { CellType, cellType } from "../../cell/cell.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import { type IpAddress, UNSPECIFIED } from "../../ip/address.ts";
import type { Ipv4View } from "../../ip/ipv4.ts";
import type { DropReason } from "../../trace/counters.ts";
import type { Trace } from "../../trace/trace.ts";
import { Deadlines } from "../deadlines.ts";
import { CircuitIds, fixedId } from "../ids.ts";
import type { CircuitKind } from "../kind.ts";
import { CircuitBuilder, type RouterDescription } from "./builder.ts";
import type { CircuitKey, KeyOf } from "./key.ts";
import { OriginCircuit } from "./origin_circuit.ts";
import { choosePath, type RouterIndex } from "./path.ts";

/** How long things may take, in ms, and how many there may be. */
export interface CircuitLimits {
  /** From a circuit's opening to its end. */
  readonly lifetime: number;
  /** That a hop may take to answer. */
  readonly answer: number;
  /** Between a failed build and the next one; twice as long each further time, up to `maxPause`. */
  readonly pause: number;
  /** What the pause grows to. */
  readonly maxPause: number;
  /** From the first try to the last. */
  readonly building: number;
  /** That the answers of a circuit may still come in after it has been replaced. */
  readonly draining: number;
  /** Circuits in use at a time, not counting those that are to replace another. */
  readonly circuits: number;
  /** Cells that one key seals before its circuit is replaced: far below what its counter holds. */
  readonly cells: number;
}

/** The defaults. Circuits live as long as Tor's before new flows get another (`MaxCircuitDirtiness`). */
export const CIRCUIT_LIMITS: CircuitLimits = {
  lifetime: 600_000,
  answer: 500,
  pause: 100,
  maxPause: 2000,
  building: 15_000,
  draining: 10_000,
  circuits: 256,
  cells: 2 ** 32,
};

/** The part of its life that a circuit has behind it when its replacement is begun. */
const REPLACED_AT = 0.9;

/** What a pool needs to know. */
export interface PoolConfig {
  /** The kind of its circuits. */
  readonly kind: CircuitKind;
  /** Routers on a path. */
  readonly hops: number;
  /** What paths are made of, in the order of the link's neighbours. */
  readonly routers: readonly RouterDescription[];
  /** Which circuit a packet takes. */
  readonly keyOf: KeyOf;
  /** A key whose packets will certainly come: a circuit that has to be built is built for it at once. */
  readonly first?: { readonly key: CircuitKey; readonly replyTo: IpAddress };
  readonly limits: CircuitLimits;
}

/** What the pool tells its owner. */
export interface PoolOwner {
  /** Sends a cell to a router; the buffer is used up. */
  send(neighbour: RouterIndex, cell: PacketBuffer): void;
  /** A circuit is open: packets that have waited for it can go. */
  opened(key: CircuitKey, circuit: OriginCircuit, now: number): void;
  /** No circuit could be built: packets that have waited for it cannot go. */
  failed(key: CircuitKey): void;
}

/** What becomes of a packet for which there is no circuit. */
export type Without =
  /** One is being built: the packet may wait. */
  | "wait"
  /** There are as many circuits as there may be. */
  | "full";

/** A circuit that is being built, as one of several attempts. */
interface Building {
  readonly kind: "building";
  readonly entry: Entry;
  readonly builder: CircuitBuilder;
  readonly startedAt: number;
  readonly tries: Tries;
  /** When the hop that is to answer next must have answered. */
  answerBy: number;
}

/** One attempt after the other to build a circuit. */
type Attempt =
  | Building
  | { readonly kind: "pausing"; readonly until: number; readonly avoid: RouterIndex; readonly tries: Tries };

/** What is known about the attempts so far. */
interface Tries {
  readonly giveUpAt: number;
  /** Before the next attempt, if this one fails. */
  readonly pause: number;
}

/** The state of a key's circuit. */
type State =
  | { readonly kind: "expected" }
  | { readonly kind: "trying"; readonly attempt: Attempt }
  | Open
  | {
    readonly kind: "replacing";
    readonly circuit: OriginCircuit;
    readonly closeAt: number;
    readonly attempt: Attempt;
  };

interface Open {
  readonly kind: "open";
  readonly circuit: OriginCircuit;
  readonly replaceAt: number;
  readonly closeAt: number;
}

/** What the pool knows of a key. */
interface Entry {
  readonly key: CircuitKey;
  /** The reply address of its circuits. */
  readonly replyTo: IpAddress;
  state: State;
}

/** The circuits of a proxy. */
export class CircuitPool {
  /** Which circuit a packet takes. */
  readonly keyOf: KeyOf;
  readonly #config: PoolConfig;
  readonly #owner: PoolOwner;
  readonly #trace: Trace;
  readonly #random: () => number;
  readonly #crypto: CryptoProvider | undefined;
  readonly #entries = new Map<CircuitKey, Entry>();
  readonly #deadlines = new Deadlines<Entry>();
  /** Circuits that have been replaced, until nothing comes by them any more; the first to close is the first. */
  readonly #draining: { readonly circuit: OriginCircuit; readonly until: number }[] = [];
  /** Circuits that carry packets, draining ones included, by id. */
  readonly #open = new Map<number, OriginCircuit>();
  /** Circuits that are being built, by id. */
  readonly #building = new Map<number, Building>();
  readonly #ids = new CircuitIds(0);
  readonly #cell = new PacketBuffer();

  /**
   * A pool of the circuits that are there from the start, if the kind has any.
   *
   * @param random numbers in [0, 1) that an outsider cannot guess
   * @param crypto needed where circuits have layers
   */
  constructor(
    config: PoolConfig,
    owner: PoolOwner,
    trace: Trace,
    random: () => number,
    crypto: CryptoProvider | undefined,
  ) {
    this.keyOf = config.keyOf;
    this.#config = config;
    this.#owner = owner;
    this.#trace = trace;
    this.#random = random;
    this.#crypto = crypto;
    const { kind, routers, first } = config;
    if (kind.building === undefined) { for (const router of routers.keys()) this.#addFixed(router); }
    else if (first !== undefined) this.#add(first.key, first.replyTo, { kind: "expected" });
  }

  /** When {@linkcode CircuitPool.expire} next has something to do, in ms; Infinity for never. */
  get deadline(): number {
    return Math.min(this.#deadlines.next, this.#draining[0]?.until ?? Infinity);
  }

  /** The open circuit for a packet, or what becomes of the packet without one. */
  choose(packet: Ipv4View, now: number): OriginCircuit | Without {
    const key = this.keyOf(packet);
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      if (this.#entries.size >= this.#config.limits.circuits) return "full";
      this.#try(this.#add(key, packet.source, { kind: "expected" }), now);
      return "wait";
    }
    const { state } = entry;
    switch (state.kind) {
      case "expected":
        this.#try(entry, now);
        return "wait";
      case "trying":
        return "wait";
      case "open":
        if (state.circuit.sent >= this.#config.limits.cells) this.#replace(entry, state, now);
    }
    state.circuit.usedAt = now;
    return state.circuit;
  }

  /** The circuit with this id on the link to a router, if it is or was open. */
  find(neighbour: RouterIndex, id: number): OriginCircuit | undefined {
    const circuit = this.#open.get(id);
    return circuit?.neighbour === neighbour ? circuit : undefined;
  }

  /**
   * Takes a cell by a circuit that is not open: it may be the answer that an attempt waits for.
   *
   * @param cell whole, and used up
   * @returns why it was dropped, or undefined
   */
  answer(neighbour: RouterIndex, id: number, cell: PacketBuffer, now: number): DropReason | undefined {
    const building = this.#building.get(id);
    if (building?.builder.circuit.neighbour !== neighbour) return "unknown-circuit";
    const { builder, entry } = building;
    if (cellType(cell) !== builder.awaited) return "unexpected-cell";
    const fault = builder.take(cell);
    if (fault !== undefined) return fault;
    const { port } = this.#config.routers[neighbour]!.link;
    this.#trace.events.extendDone(id, port, now);
    if (builder.next === undefined) this.#opened(building, now);
    else {
      this.#ask(builder);
      building.answerBy = now + this.#config.limits.answer;
      this.#set(entry, entry.state);
    }
    return undefined;
  }

  /** Does what is due. */
  expire(now: number): void {
    while (this.#draining.length > 0 && this.#draining[0]!.until <= now) {
      this.#close(this.#draining.shift()!.circuit);
    }
    for (let entry; (entry = this.#deadlines.take(now)) !== undefined;) this.#due(entry, entry.state, now);
  }

  /** Tears down every circuit that has been built, at once: tells the routers and wipes the keys. */
  closeAll(): void {
    for (const { builder } of this.#building.values()) this.#giveUp(builder);
    for (const circuit of this.#open.values()) this.#close(circuit);
    this.#entries.clear();
    this.#deadlines.clear();
    this.#draining.length = 0;
  }

  /** Something of this entry is due. */
  #due(entry: Entry, state: State, now: number): void {
    switch (state.kind) {
      case "expected":
        return this.#try(entry, now);
      case "trying": {
        const attempt = this.#goOn(entry, state.attempt, now);
        if (attempt !== undefined) return this.#set(entry, { kind: "trying", attempt });
        this.#forget(entry);
        return this.#owner.failed(entry.key);
      }
      case "open":
        if (now < state.closeAt && isInUse(state, this.#config.limits)) {
          return this.#replace(entry, state, now);
        }
        this.#forget(entry);
        return this.#close(state.circuit);
      case "replacing": {
        const attempt = this.#goOn(entry, state.attempt, now) ?? this.#firstAttempt(entry, now);
        if (now < state.closeAt) return this.#set(entry, { ...state, attempt });
        // A circuit never outlives its lifetime, so packets now wait for the next one.
        this.#close(state.circuit);
        return this.#set(entry, { kind: "trying", attempt });
      }
    }
  }

  #try(entry: Entry, now: number): void {
    this.#set(entry, { kind: "trying", attempt: this.#firstAttempt(entry, now) });
  }

  #replace(entry: Entry, { circuit, closeAt }: Open, now: number): void {
    this.#set(entry, { kind: "replacing", circuit, closeAt, attempt: this.#firstAttempt(entry, now) });
  }

  #firstAttempt(entry: Entry, now: number): Attempt {
    const { building, pause } = this.#config.limits;
    return this.#build(entry, { giveUpAt: now + building, pause }, now);
  }

  /** The attempt as it goes on after what is due; undefined once its time is over. */
  #goOn(entry: Entry, attempt: Attempt, now: number): Attempt | undefined {
    const { tries } = attempt;
    switch (attempt.kind) {
      case "building": {
        if (now < attempt.answerBy) return attempt;
        const avoid = attempt.builder.next!;
        this.#trace.counters.count("builds-failed");
        this.#giveUp(attempt.builder);
        if (now + tries.pause > tries.giveUpAt) return undefined;
        const pause = Math.min(2 * tries.pause, this.#config.limits.maxPause);
        return { kind: "pausing", until: now + tries.pause, avoid, tries: { ...tries, pause } };
      }
      case "pausing":
        if (now < attempt.until) return attempt;
        return this.#build(entry, tries, now, attempt.avoid);
    }
  }

  /** Starts to build a circuit by a random path. */
  #build(entry: Entry, tries: Tries, now: number, avoid?: RouterIndex): Attempt {
    const { routers, hops, kind, limits } = this.#config;
    const path = choosePath(routers.length, hops, this.#random, avoid);
    path.forEach((router, hop) => this.#trace.events.hop(hop + 1, router + 1, now));
    const id = this.#ids.next((id) => this.#open.has(id) || this.#building.has(id));
    const circuit = new OriginCircuit(id, path[0]!, kind, entry.replyTo);
    const builder = new CircuitBuilder(circuit, path, routers, this.#crypto);
    const answerBy = now + limits.answer;
    const building: Building = { kind: "building", entry, builder, startedAt: now, tries, answerBy };
    this.#building.set(id, building);
    this.#ask(builder);
    return building;
  }

  #ask(builder: CircuitBuilder): void {
    builder.ask(this.#cell);
    this.#owner.send(builder.circuit.neighbour, this.#cell);
  }

  /** The last hop has answered. */
  #opened({ entry, builder, startedAt }: Building, now: number): void {
    const { circuit } = builder;
    const { draining, lifetime } = this.#config.limits;
    this.#trace.counters.count("circuits-built");
    this.#trace.counters.count("build-time", Math.round(1000 * (now - startedAt)));
    if (entry.state.kind === "replacing") {
      this.#draining.push({ circuit: entry.state.circuit, until: now + draining });
    }
    this.#building.delete(circuit.id);
    this.#open.set(circuit.id, circuit);
    circuit.usedAt = now;
    const [replaceAt, closeAt] = [now + REPLACED_AT * lifetime, now + lifetime];
    this.#set(entry, { kind: "open", circuit, replaceAt, closeAt });
    this.#owner.opened(entry.key, circuit, now);
  }

  #giveUp(builder: CircuitBuilder): void {
    builder[Symbol.dispose]();
    this.#building.delete(builder.circuit.id);
    this.#close(builder.circuit);
  }

  /** Tears a circuit down: tells its hops and wipes its keys. */
  #close(circuit: OriginCircuit): void {
    this.#open.delete(circuit.id);
    // Routers never forget a circuit that they know from the start.
    if (circuit.kind.building === undefined) return;
    this.#cell.hold(0);
    if (circuit.seal(this.#cell, CellType.destroy)) this.#owner.send(circuit.neighbour, this.#cell);
    circuit[Symbol.dispose]();
  }

  /** Adds the circuit that both ends know from the start. Its key is the router's index. */
  #addFixed(router: RouterIndex): void {
    const circuit = new OriginCircuit(fixedId(router + 1), router, this.#config.kind, UNSPECIFIED);
    this.#open.set(circuit.id, circuit);
    this.#add(router, UNSPECIFIED, { kind: "open", circuit, replaceAt: Infinity, closeAt: Infinity });
  }

  #add(key: CircuitKey, replyTo: IpAddress, state: State): Entry {
    const entry = { key, replyTo, state };
    this.#entries.set(key, entry);
    this.#set(entry, state);
    return entry;
  }

  #set(entry: Entry, state: State): void {
    entry.state = state;
    this.#deadlines.set(entry, deadlineOf(state));
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.key);
    this.#deadlines.delete(entry);
  }
}

/** When something of an entry is next due, in ms. */
function deadlineOf(state: State): number {
  switch (state.kind) {
    case "expected":
      return -Infinity;
    case "trying":
      return attemptDeadline(state.attempt);
    case "open":
      return state.replaceAt;
    case "replacing":
      return Math.min(state.closeAt, attemptDeadline(state.attempt));
  }
}

function attemptDeadline(attempt: Attempt): number {
  return attempt.kind === "building" ? attempt.answerBy : attempt.until;
}

/** Whether a packet has used the circuit in the second half of its life, so that more are likely to come. */
function isInUse({ circuit, closeAt }: Open, { lifetime }: CircuitLimits): boolean {
  return circuit.usedAt > closeAt - lifetime / 2;
}
