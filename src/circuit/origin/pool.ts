/**
 * Circuits that are built by random paths, one for each client, and replaced before they end.
 *
 * ```
 *                    built                 replaceAt, where it is in use
 *   ┌────────┐ ──────────────────► ┌──────┐ ─────────────────────────► ┌───────────┐
 *   │ trying │                     │ open │                            │ replacing │
 *   └────────┘ ◄────────────────── └──────┘ ◄───────────────────────── └───────────┘
 *     │    ▲        closeAt          │        built: the old one drains      │
 *     │    └─────────────────────────┼───────────────────────────────────────┘ closeAt
 *     ▼ giveUpAt                     ▼ replaceAt, where nobody has used it
 *    gone                           gone
 *
 *   an attempt, in trying and in replacing:   building ──no answer──► pausing ──until──► building, by another path
 * ```
 *
 * A core without I/O.
 *
 * @module
 */
import { PacketBuffer } from "../../buffer/packet_buffer.ts";
import { CellType, cellType } from "../../cell/cell.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import type { DropReason } from "../../trace/counters.ts";
import type { Trace } from "../../trace/trace.ts";
import { Build, type RouterDescription } from "./builder.ts";
import type { Circuits, Without } from "./circuits.ts";
import type { Dialect } from "../dialect.ts";
import { CircuitIds } from "../ids.ts";
import { OriginCircuit } from "./origin_circuit.ts";
import { choosePath, type RouterIndex } from "./path.ts";
import type { IpAddress } from "../../ip/address.ts";

/** How long things may take, in ms, and how many there may be. */
export interface CircuitLimits {
  /** From a circuit's opening to its end. */
  readonly lifetime: number;
  /** That a hop may take to answer. */
  readonly answer: number;
  /** Between a failed build and the next one; twice as long each further time, up to `longestPause`. */
  readonly pause: number;
  /** What the pause grows to. */
  readonly longestPause: number;
  /** From the first try to the last. */
  readonly building: number;
  /** That the answers of a circuit may still come in after it has been replaced. */
  readonly draining: number;
  /** Clients with a circuit at a time. */
  readonly clients: number;
  /** Cells that one key seals before its circuit is replaced: far below what its counter holds. */
  readonly cells: number;
}

/** The usual limits. Circuits live as long as Tor's before new flows get another (`MaxCircuitDirtiness`). */
export const CIRCUIT_LIMITS: CircuitLimits = {
  lifetime: 600_000,
  answer: 500,
  pause: 100,
  longestPause: 2000,
  building: 15_000,
  draining: 10_000,
  clients: 256,
  cells: 2 ** 32,
};

/** The part of its life that a circuit has behind it when its replacement is begun. */
const REPLACED_AT = 0.9;

/** What built circuits are made by. */
export interface BuiltConfig {
  /** Whether they are plain or sealed. */
  readonly dialect: Dialect;
  /** Routers on a path. */
  readonly hops: number;
  /** What the paths are made of, in the order of the link's neighbours. */
  readonly routers: readonly RouterDescription[];
  /** A client that will certainly come: its circuit is built at once. */
  readonly firstClient?: IpAddress;
  /** How long things may take, and how many there may be. */
  readonly limits: CircuitLimits;
}

/** Who has the circuits. */
export interface CircuitOwner {
  /** Sends a cell to a router; the buffer is used up. */
  send(neighbour: RouterIndex, cell: PacketBuffer): void;
  /** A client's circuit is open: what has waited for it can go. */
  opened(client: IpAddress, circuit: OriginCircuit, now: number): void;
  /** No circuit could be built: what has waited for it cannot go. */
  failed(client: IpAddress): void;
}

/** A try after the other to build a circuit. */
type Attempt =
  | {
    readonly kind: "building";
    readonly build: Build;
    readonly begunAt: number;
    readonly answerBy: number;
    readonly tries: Tries;
  }
  | { readonly kind: "pausing"; readonly until: number; readonly avoid: RouterIndex; readonly tries: Tries };

/** What is known about the tries so far. */
interface Tries {
  readonly giveUpAt: number;
  /** Before the next one, if this one fails. */
  readonly pause: number;
}

/** The state of a client's circuit. */
type State =
  | { readonly kind: "trying"; readonly attempt: Attempt }
  | {
    readonly kind: "open";
    readonly circuit: OriginCircuit;
    readonly replaceAt: number;
    readonly closeAt: number;
  }
  | {
    readonly kind: "replacing";
    readonly circuit: OriginCircuit;
    readonly closeAt: number;
    readonly attempt: Attempt;
  };

/** The circuits of a proxy's clients. */
export class BuiltCircuits implements Circuits {
  readonly #config: BuiltConfig;
  readonly #owner: CircuitOwner;
  readonly #trace: Trace;
  readonly #random: () => number;
  readonly #crypto: CryptoProvider | undefined;
  readonly #clients = new Map<IpAddress, State>();
  /** Circuits that have been replaced, until nothing comes by them any more; the first to close is the first. */
  readonly #draining: { readonly circuit: OriginCircuit; readonly until: number }[] = [];
  /** Every circuit that may still receive. */
  readonly #byId = new Map<number, OriginCircuit>();
  readonly #ids = new CircuitIds(0);
  readonly #cell = new PacketBuffer();
  #firstClient: IpAddress | undefined;
  #deadline = Infinity;

  /**
   * No circuit yet.
   *
   * @param random numbers in [0, 1) that an outsider cannot guess
   * @param crypto needed where circuits are sealed
   */
  constructor(
    config: BuiltConfig,
    owner: CircuitOwner,
    trace: Trace,
    random: () => number,
    crypto: CryptoProvider | undefined,
  ) {
    this.#config = config;
    this.#owner = owner;
    this.#trace = trace;
    this.#random = random;
    this.#crypto = crypto;
    this.#firstClient = config.firstClient;
    this.#reckon();
  }

  /** {@inheritDoc Circuits.deadline} */
  get deadline(): number {
    return this.#deadline;
  }

  /** {@inheritDoc Circuits.choose} */
  choose(client: IpAddress, _destination: IpAddress, now: number): OriginCircuit | Without {
    const state = this.#clients.get(client);
    if (state !== undefined && state.kind !== "trying") {
      state.circuit.usedAt = now;
      if (state.kind === "open" && state.circuit.sent >= this.#config.limits.cells) {
        this.#replace(client, state, now);
      }
      return state.circuit;
    }
    if (state !== undefined) return "wait";
    if (this.#clients.size >= this.#config.limits.clients) return "full";
    this.#begin(client, now);
    return "wait";
  }

  /** {@inheritDoc Circuits.find} */
  find(neighbour: RouterIndex, id: number): OriginCircuit | undefined {
    const circuit = this.#byId.get(id);
    return circuit?.neighbour === neighbour ? circuit : undefined;
  }

  /** {@inheritDoc Circuits.answer} */
  answer(circuit: OriginCircuit, cell: PacketBuffer, now: number): DropReason | undefined {
    const client = circuit.client!;
    const state = this.#clients.get(client);
    if (state === undefined || state.kind === "open" || state.attempt.kind !== "building") {
      return "unexpected-cell";
    }
    const { build, begunAt } = state.attempt;
    if (build.circuit !== circuit || cellType(cell) !== build.awaited) return "unexpected-cell";
    const fault = build.take(cell);
    if (fault !== undefined) return fault;
    const { port } = this.#config.routers[circuit.neighbour]!.link;
    this.#trace.events.extendDone(circuit.id, port, now);
    if (build.next !== undefined) {
      this.#ask(build);
      this.#set(client, {
        ...state,
        attempt: { ...state.attempt, answerBy: now + this.#config.limits.answer },
      });
      return undefined;
    }
    this.#trace.counters.count("circuits-built");
    this.#trace.counters.count("build-time", Math.round(1000 * (now - begunAt)));
    if (state.kind === "replacing") this.#drain(state.circuit, now);
    circuit.isOpen = true;
    circuit.usedAt = now;
    const { lifetime } = this.#config.limits;
    this.#set(client, {
      kind: "open",
      circuit,
      replaceAt: now + REPLACED_AT * lifetime,
      closeAt: now + lifetime,
    });
    this.#owner.opened(client, circuit, now);
    return undefined;
  }

  /** {@inheritDoc Circuits.expire} */
  expire(now: number): void {
    if (this.#firstClient !== undefined) this.#begin(this.#firstClient, now);
    while (this.#draining.length > 0 && this.#draining[0]!.until <= now) {
      this.#close(this.#draining.shift()!.circuit);
    }
    for (const [client, state] of this.#clients) if (deadlineOf(state) <= now) this.#due(client, state, now);
    this.#reckon();
  }

  /** {@inheritDoc Circuits.closeAll} */
  closeAll(): void {
    for (const state of this.#clients.values()) {
      if (state.kind !== "open" && state.attempt.kind === "building") state.attempt.build[Symbol.dispose]();
    }
    for (const circuit of [...this.#byId.values()]) this.#close(circuit);
    this.#clients.clear();
    this.#draining.length = 0;
    this.#reckon();
  }

  /** Something of this client's is due. */
  #due(client: IpAddress, state: State, now: number): void {
    switch (state.kind) {
      case "trying": {
        const attempt = this.#goOn(state.attempt, client, now);
        if (attempt !== undefined) return this.#set(client, { kind: "trying", attempt });
        this.#clients.delete(client);
        return this.#owner.failed(client);
      }
      case "open":
        if (now < state.closeAt && isInUse(state, this.#config.limits)) {
          return this.#replace(client, state, now);
        }
        this.#clients.delete(client);
        return this.#close(state.circuit);
      case "replacing": {
        const attempt = this.#goOn(state.attempt, client, now) ??
          this.#build(client, this.#firstTries(now), now);
        if (now < state.closeAt) return this.#set(client, { ...state, attempt });
        // A circuit's time is a promise. What comes now waits for the next one.
        this.#close(state.circuit);
        return this.#set(client, { kind: "trying", attempt });
      }
    }
  }

  #begin(client: IpAddress, now: number): void {
    // Its packet may have come before anybody has asked what is due.
    if (client === this.#firstClient) this.#firstClient = undefined;
    this.#set(client, { kind: "trying", attempt: this.#build(client, this.#firstTries(now), now) });
  }

  #replace(client: IpAddress, { circuit, closeAt }: State & { kind: "open" }, now: number): void {
    const attempt = this.#build(client, this.#firstTries(now), now);
    this.#set(client, { kind: "replacing", circuit, closeAt, attempt });
  }

  #firstTries(now: number): Tries {
    const { building, pause } = this.#config.limits;
    return { giveUpAt: now + building, pause };
  }

  /** The attempt as it goes on where something of it is due; undefined where its time is over. */
  #goOn(attempt: Attempt, client: IpAddress, now: number): Attempt | undefined {
    const { tries } = attempt;
    switch (attempt.kind) {
      case "building": {
        if (now < attempt.answerBy) return attempt;
        const avoid = attempt.build.next!;
        this.#trace.counters.count("builds-failed");
        attempt.build[Symbol.dispose]();
        this.#close(attempt.build.circuit);
        if (now + tries.pause > tries.giveUpAt) return undefined;
        const pause = Math.min(2 * tries.pause, this.#config.limits.longestPause);
        return { kind: "pausing", until: now + tries.pause, avoid, tries: { ...tries, pause } };
      }
      case "pausing":
        if (now < attempt.until) return attempt;
        return this.#build(client, tries, now, attempt.avoid);
    }
  }

  /** Begins to build a circuit by a random path. */
  #build(client: IpAddress, tries: Tries, now: number, avoid?: RouterIndex): Attempt {
    const { routers, hops, dialect } = this.#config;
    const path = choosePath(routers.length, hops, this.#random, avoid);
    path.forEach((router, hop) => this.#trace.events.hop(hop + 1, router + 1, now));
    const id = this.#ids.next((id) => this.#byId.has(id));
    const circuit = new OriginCircuit(id, path[0]!, dialect, client, false);
    this.#byId.set(id, circuit);
    const build = new Build(circuit, path, routers, this.#crypto);
    this.#ask(build);
    return { kind: "building", build, begunAt: now, answerBy: now + this.#config.limits.answer, tries };
  }

  #ask(build: Build): void {
    build.ask(this.#cell);
    this.#owner.send(build.circuit.neighbour, this.#cell);
  }

  #drain(circuit: OriginCircuit, now: number): void {
    this.#draining.push({ circuit, until: now + this.#config.limits.draining });
  }

  /** Ends a circuit: its hops are told, its keys are wiped. */
  #close(circuit: OriginCircuit): void {
    this.#byId.delete(circuit.id);
    this.#cell.hold(0);
    if (circuit.seal(this.#cell, CellType.destroy)) this.#owner.send(circuit.neighbour, this.#cell);
    circuit[Symbol.dispose]();
  }

  #set(client: IpAddress, state: State): void {
    this.#clients.set(client, state);
    this.#reckon();
  }

  #reckon(): void {
    this.#deadline = this.#firstClient === undefined ? this.#draining[0]?.until ?? Infinity : -Infinity;
    for (const state of this.#clients.values()) this.#deadline = Math.min(this.#deadline, deadlineOf(state));
  }
}

/** When something of a client's is next due, in ms. */
function deadlineOf(state: State): number {
  switch (state.kind) {
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

/** Whether somebody has used the circuit in the second half of its life, and will miss it. */
function isInUse({ circuit, closeAt }: State & { kind: "open" }, { lifetime }: CircuitLimits): boolean {
  return circuit.usedAt > closeAt - lifetime / 2;
}
