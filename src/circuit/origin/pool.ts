/**
 * The circuits of a proxy: one for each key. The pool builds each circuit along a random path, and
 * replaces it before its lifetime ends. Direct circuits are open from the start, for ever.
 *
 * ```
 *   ┌──────────┐  at once, or at the first packet
 *   │ expected ├────┐
 *   └──────────┘    ▼   built                  replaceAt, if in use
 *             ┌────────┐ ──────────► ┌──────┐ ──────────────────────► ┌───────────┐
 *             │ trying │             │ open │                         │ replacing │
 *             └────────┘             └──────┘ ◄────────────────────── └───────────┘
 *               │    ▲                 │       built; the old one drains    │
 *               │    └─────────────────┼────────────────────────────────────┘ closeAt
 *               ▼ giveUpAt             ▼ replaceAt, if idle; or closeAt
 *              gone                   gone
 *
 *   an attempt:  building ── no answer ──► pausing ── until ──► building, along another path
 * ```
 *
 * When a router is lost, circuits through it are closed at once and built along other paths. With
 * too few routers for a path, a client without a circuit is gone: its packets are refused.
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
import { CircuitIds, directId } from "../ids.ts";
import type { CircuitKind } from "../kind.ts";
import { CircuitBuilder, type RouterDescription } from "./builder.ts";
import type { CircuitKey, KeyOf } from "./key.ts";
import { OriginCircuit } from "./origin_circuit.ts";
import { choosePath, type RouterIndex } from "./path.ts";

/** Times in ms, and numbers. */
export interface CircuitLimits {
  /** Lifetime of an open circuit. */
  readonly lifetime: number;
  /** Maximum time for the answer of a hop. */
  readonly answer: number;
  /** First pause between a failed attempt and the next. It doubles up to `maxPause`. */
  readonly pause: number;
  /** Maximum pause. */
  readonly maxPause: number;
  /** Time from the first attempt to the start of the last. */
  readonly building: number;
  /** Time for which a replaced circuit still accepts replies. */
  readonly draining: number;
  /** Maximum number of circuits, not counting replacements. */
  readonly circuits: number;
  /**
   * Number of cells sealed with one key before the circuit is replaced, far below the key's limit.
   */
  readonly cells: number;
}

/** The defaults. The lifetime is that of Tor (`MaxCircuitDirtiness`). */
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

/** The fraction of its lifetime after which a circuit is replaced. */
const REPLACED_AT = 0.9;

/** The configuration of a pool. */
interface PoolConfig {
  /** The kind of its circuits. */
  readonly kind: CircuitKind;
  /** Number of routers on a path. */
  readonly hops: number;
  /** All routers, in the order of the link's neighbours; none is lost yet. */
  readonly routers: readonly RouterDescription[];
  /** Returns the key of a packet. The keys of direct circuits are the routers' indices. */
  readonly keyOf: KeyOf;
  /** A key whose packets are sure to come, and its reply address. Its circuit is built at once. */
  readonly first?: { readonly key: CircuitKey; readonly replyTo: IpAddress };
  /** Times and numbers. */
  readonly limits: CircuitLimits;
}

/** The owner of a pool. */
interface PoolOwner {
  /** Sends a cell to a router, and uses the buffer up. */
  send(neighbour: RouterIndex, cell: PacketBuffer): void;
  /** Is told that a circuit is open: waiting packets can go. */
  opened(key: CircuitKey, circuit: OriginCircuit, now: number): void;
  /** Is told that no circuit could be built: waiting packets cannot go. */
  failed(key: CircuitKey): void;
}

/** Why there is no circuit for a packet. */
type Without =
  /** It is being built. The packet can wait. */
  | "wait"
  /** There are too many circuits. */
  | "full"
  /** Too few routers are left, or the only one is lost. */
  | "unreachable";

/** An attempt in progress. */
interface Building {
  readonly kind: "building";
  readonly entry: Entry;
  readonly builder: CircuitBuilder;
  readonly startedAt: number;
  readonly tries: Tries;
  /** Deadline of the next hop's answer. */
  answerBy: number;
}

/** An attempt to build a circuit, or the pause before the next. */
type Attempt =
  | Building
  | { readonly kind: "pausing"; readonly until: number; readonly avoid: RouterIndex; readonly tries: Tries };

/** The limits of further attempts. */
interface Tries {
  readonly giveUpAt: number;
  /** The pause if this attempt fails. */
  readonly pause: number;
}

/** The state of an entry. */
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

/** A replaced circuit, and when it closes. */
interface Draining {
  readonly circuit: OriginCircuit;
  readonly until: number;
}

/** A key and its circuit. */
interface Entry {
  readonly key: CircuitKey;
  /** The reply address of the circuit. */
  readonly replyTo: IpAddress;
  state: State;
}

/** The circuits of a proxy. */
export class CircuitPool {
  /** Returns the key of a packet. */
  readonly keyOf: KeyOf;
  readonly #config: PoolConfig;
  readonly #owner: PoolOwner;
  readonly #trace: Trace;
  readonly #random: () => number;
  readonly #crypto: CryptoProvider | undefined;
  readonly #entries = new Map<CircuitKey, Entry>();
  readonly #deadlines = new Deadlines<Entry>();
  /** Replaced circuits that still accept replies. The first is the first to close. */
  #draining: Draining[] = [];
  /** Open and draining circuits, by id. */
  readonly #open = new Map<number, OriginCircuit>();
  /** Attempts in progress, by circuit id. */
  readonly #building = new Map<number, Building>();
  readonly #ids = new CircuitIds(0);
  readonly #routers: RouterDescription[];
  /** The routers that are not lost. */
  #present: RouterIndex[];
  readonly #cell = new PacketBuffer();

  /**
   * Holds direct circuits if the kind is not built; otherwise starts empty.
   *
   * @param random returns numbers in [0, 1) that an outsider cannot guess
   * @param crypto needed if circuits have layers
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
    this.#routers = [...routers];
    this.#present = [...routers.keys()];
    if (kind.building === undefined) { for (const router of routers.keys()) this.#addDirect(router); }
    else if (first !== undefined) this.#add(first.key, first.replyTo, { kind: "expected" });
  }

  /** When to call {@linkcode CircuitPool.expire} next, in ms; Infinity for never. */
  get deadline(): number {
    return Math.min(this.#deadlines.next, this.#draining[0]?.until ?? Infinity);
  }

  /** Returns the open circuit for a packet, or why there is none. */
  choose(packet: Ipv4View, now: number): OriginCircuit | Without {
    const key = this.keyOf(packet);
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      if (!this.#canBuild) return "unreachable";
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

  /** The open or draining circuit with this id on the link to a router. */
  find(neighbour: RouterIndex, id: number): OriginCircuit | undefined {
    const circuit = this.#open.get(id);
    return circuit?.neighbour === neighbour ? circuit : undefined;
  }

  /**
   * Takes a cell of a circuit that {@linkcode CircuitPool.find} does not know: an answer to an
   * attempt.
   *
   * @param cell the whole cell; its buffer is used up
   * @returns why it was dropped, or undefined
   */
  answer(neighbour: RouterIndex, id: number, cell: PacketBuffer, now: number): DropReason | undefined {
    const building = this.#building.get(id);
    if (building?.builder.circuit.neighbour !== neighbour) return "unknown-circuit";
    const { builder, entry } = building;
    if (cellType(cell) !== builder.awaited) return "unexpected-cell";
    const fault = builder.take(cell);
    if (fault !== undefined) return fault;
    this.#trace.events.extendDone(id, this.portOf(neighbour), now);
    if (builder.next === undefined) this.#opened(building, now);
    else {
      this.#ask(builder);
      building.answerBy = now + this.#config.limits.answer;
      this.#set(entry, entry.state);
    }
    return undefined;
  }

  /** Does everything that is due. */
  expire(now: number): void {
    while (this.#draining.length > 0 && this.#draining[0]!.until <= now) {
      this.#close(this.#draining.shift()!.circuit);
    }
    for (let entry; (entry = this.#deadlines.take(now)) !== undefined;) this.#due(entry, entry.state, now);
  }

  /** The port of a router's data link; of the last one, if the router is lost. */
  portOf(router: RouterIndex): number {
    return this.#routers[router]!.link.port;
  }

  /**
   * Replaces a router by a new one, which knows no circuits. Without one, the router is lost.
   * Closes the circuits through the old one, and builds others.
   */
  replace(router: RouterIndex, by: RouterDescription | undefined, now: number): void {
    this.#present = this.#present.filter((each) => each !== router);
    const isCut = ({ circuit }: Draining) => circuit.path.includes(router);
    for (const { circuit } of this.#draining.filter(isCut)) this.#lose(circuit);
    this.#draining = this.#draining.filter((each) => !isCut(each));
    for (const entry of this.#entries.values()) this.#leave(entry, entry.state, router, now);
    if (by === undefined) return;
    this.#routers[router] = by;
    this.#present.push(router);
    this.#present.sort((one, other) => one - other);
    if (this.#config.kind.building === undefined) this.#addDirect(router);
  }

  /** Tears down every circuit. */
  closeAll(): void {
    for (const { builder } of this.#building.values()) this.#giveUp(builder);
    for (const circuit of this.#open.values()) this.#close(circuit);
    this.#entries.clear();
    this.#deadlines.clear();
    this.#draining.length = 0;
  }

  /**
   * Whether there are enough routers for a path, as there are while a circuit is open. Direct
   * circuits are never built.
   */
  get #canBuild(): boolean {
    const { kind, hops } = this.#config;
    return kind.building !== undefined && this.#present.length >= hops;
  }

  /** Gives up what an entry has on a path through a lost router. */
  #leave(entry: Entry, state: State, router: RouterIndex, now: number): void {
    switch (state.kind) {
      case "expected":
        return this.#canBuild ? undefined : this.#forget(entry);
      case "trying":
        return this.#cut(state.attempt, router) ? this.#tryAnew(entry, now) : undefined;
      case "open":
        if (!state.circuit.path.includes(router)) return;
        this.#lose(state.circuit);
        return this.#tryAnew(entry, now);
      case "replacing": {
        const isCut = this.#cut(state.attempt, router);
        if (!state.circuit.path.includes(router)) {
          if (isCut) this.#set(entry, { ...state, attempt: this.#firstAttempt(entry, now) });
          return;
        }
        this.#lose(state.circuit);
        return isCut
          ? this.#tryAnew(entry, now)
          : this.#set(entry, { kind: "trying", attempt: state.attempt });
      }
    }
  }

  /** Gives an attempt up if its path has a lost router. Returns whether it did. */
  #cut(attempt: Attempt, router: RouterIndex): boolean {
    if (attempt.kind !== "building" || !attempt.builder.circuit.path.includes(router)) return false;
    this.#trace.counters.count("builds-failed");
    this.#giveUp(attempt.builder);
    return true;
  }

  /** Closes a circuit whose path has a lost router. */
  #lose(circuit: OriginCircuit): void {
    this.#trace.counters.count("circuits-lost");
    this.#close(circuit);
  }

  /** Builds a circuit for an entry that has none, or gives the entry up. */
  #tryAnew(entry: Entry, now: number): void {
    if (this.#canBuild) return this.#try(entry, now);
    this.#forget(entry);
    this.#owner.failed(entry.key);
  }

  /** Handles an entry that is due. */
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
        // No circuit outlives its lifetime, so packets wait for the next one.
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

  /** Continues an attempt. Returns undefined if there is no time for another. */
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
        return this.#canBuild ? this.#build(entry, tries, now, attempt.avoid) : undefined;
    }
  }

  /** Starts an attempt along a random path. */
  #build(entry: Entry, tries: Tries, now: number, avoid?: RouterIndex): Attempt {
    const { hops, kind, limits } = this.#config;
    const path = choosePath(this.#present, hops, this.#random, avoid);
    path.forEach((router, hop) => this.#trace.events.hop(hop + 1, router + 1, now));
    const id = this.#ids.next((id) => this.#open.has(id) || this.#building.has(id));
    const circuit = new OriginCircuit(id, path, kind, entry.replyTo);
    const builder = new CircuitBuilder(circuit, this.#routers, this.#crypto);
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

  /** Puts a circuit into use once its last hop has answered. */
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

  /** Tears a circuit down: sends destroy to its hops, and wipes its keys. */
  #close(circuit: OriginCircuit): void {
    this.#open.delete(circuit.id);
    // A router keeps its direct circuit.
    if (circuit.kind.building === undefined) return;
    this.#cell.hold(0);
    const isHeard = this.#present.includes(circuit.neighbour);
    if (isHeard && circuit.seal(this.#cell, CellType.destroy)) {
      this.#owner.send(circuit.neighbour, this.#cell);
    }
    circuit[Symbol.dispose]();
  }

  /** Adds the direct circuit to a router. */
  #addDirect(router: RouterIndex): void {
    const circuit = new OriginCircuit(directId(router + 1), [router], this.#config.kind, UNSPECIFIED);
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

/** When an entry is next due, in ms. */
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

/**
 * Whether a packet used the circuit in the second half of its lifetime, so that more are likely.
 */
function isInUse({ circuit, closeAt }: Open, { lifetime }: CircuitLimits): boolean {
  return circuit.usedAt > closeAt - lifetime / 2;
}
