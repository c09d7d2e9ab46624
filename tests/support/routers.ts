/**
 * Real routers joined to each other, with the test in the proxy's place:
 *
 * ```
 *   test ── cell ──► router 1 ◄──► router 2 …    all are each other's neighbours
 *        ◄── cell ──    │             │
 *                       └── exit ─────┴──► test
 * ```
 *
 * @module
 */
import assert from "node:assert/strict";
import type { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { CircuitBuilder, type RouterDescription } from "../../src/circuit/origin/builder.ts";
import { CIRCUIT_LIMITS } from "../../src/circuit/origin/pool.ts";
import { CIRCUIT_KINDS, type CircuitKindName } from "../../src/circuit/kind.ts";
import { OriginCircuit } from "../../src/circuit/origin/origin_circuit.ts";
import type { Deliver } from "../../src/node/exit.ts";
import { type Network, routerConfig } from "../../src/node/network.ts";
import { type RouterConfig, RouterCore } from "../../src/node/router.ts";
import { Counters, type Snapshot } from "../../src/trace/counters.ts";
import { PROVIDER } from "./crypto.ts";
import { EventMemory } from "./events.ts";
import { address, poisoned } from "./packets.ts";
import { addressFromBits } from "../../src/ip/address.ts";

/** A packet that reached an exit. */
export interface AtExit {
  /** The router's number, from 1. */
  readonly router: number;
  /** The router's own number for the circuit. */
  readonly handle: number;
  readonly packet: Uint8Array;
}

/** UDP port of the proxy; the routers have the ports after it. */
const PROXY_PORT = 40_000;

/**
 * Routers of plain or sealed circuits. Router I has the address 192.168.20I.2 and port 40000 + I.
 */
export class Routers {
  /** The routers as the proxy knows them, in order. */
  readonly descriptions: readonly RouterDescription[];
  readonly cores: readonly RouterCore[];
  readonly configs: readonly RouterConfig[];
  /** What each router logs. */
  readonly logs: readonly EventMemory[];
  readonly atExit: AtExit[] = [];
  /** Every cell that a router has sent, in order; the proxy is 0. */
  readonly carried: { readonly from: number; readonly to: number; readonly cell: Uint8Array }[] = [];
  /** Whether a router gets no cells, and so does not answer. */
  isDeaf: (router: number) => boolean = () => false;
  /** Whether the links take what routers send. */
  takes = true;
  /** When each exit is next due, and how often it was told so; by router. */
  readonly exits: readonly { deadline: number; expired: number }[];
  readonly #counters: readonly Counters[];
  readonly #delivers: Deliver[] = [];
  /** Cells on their way; the proxy is 0. */
  readonly #underWay: { readonly from: number; readonly to: number; readonly cell: Uint8Array }[] = [];

  constructor(count: number, kind: CircuitKindName, change: Partial<RouterConfig> = {}) {
    const numbers = Array.from({ length: count }, (_, index) => index + 1);
    const keys = numbers.map(() => PROVIDER.generateKeyPair());
    const network: Network = {
      circuits: { kind, hops: count, limits: CIRCUIT_LIMITS },
      carries: ["icmp"],
      linkMtu: 65_535,
      tunMtu: 1500,
      proxy: { address: address("127.0.0.1"), port: PROXY_PORT },
      routers: numbers.map((number) => ({
        link: { address: address("127.0.0.1"), port: PROXY_PORT + number },
        address: address(`192.168.20${number}.2`),
        ...(kind === "sealed" && { key: keys[number - 1]!.publicKey }),
      })),
    };
    this.descriptions = network.routers;
    this.#counters = numbers.map(() => new Counters());
    this.logs = numbers.map(() => new EventMemory());
    this.exits = numbers.map(() => ({ deadline: Infinity, expired: 0 }));
    this.configs = numbers.map((number) => ({ ...routerConfig(network, number), ...change }));
    this.cores = numbers.map((number) =>
      new RouterCore(
        this.configs[number - 1]!,
        {
          toNeighbour: (neighbour, cell) => {
            const to = this.#partiesFrom(number)[neighbour]!;
            const sent = { from: number, to, cell: cell.copy() };
            return this.takes && this.carried.push(sent) > 0 && this.#underWay.push(sent) > 0;
          },
        },
        { counters: this.#counters[number - 1]!, events: this.logs[number - 1]! },
        (deliver) => {
          this.#delivers.push(deliver);
          return Object.assign(this.exits[number - 1]!, {
            send: (handle: number, packet: PacketBuffer) =>
              this.atExit.push({ router: number, handle, packet: packet.copy() }),
            expire: () => this.exits[number - 1]!.expired++,
          });
        },
        kind === "sealed" ? { crypto: PROVIDER, keys: keys[number - 1]! } : undefined,
      )
    );
  }

  /**
   * Sends cells to a router, by default as the proxy. Returns what the proxy receives.
   */
  send(router: number, cells: readonly Uint8Array[], from = 0, now = 0): Uint8Array[] {
    for (const cell of cells) this.#underWay.push({ from, to: router, cell });
    return this.#settle(now);
  }

  /** Builds a circuit through these routers. */
  build(path: readonly number[], id = 1): OriginCircuit {
    const kind = CIRCUIT_KINDS[this.configs[0]!.circuits];
    const indices = path.map((router) => router - 1);
    const circuit = new OriginCircuit(id, indices, kind, addressFromBits(0));
    using build = new CircuitBuilder(circuit, this.descriptions, PROVIDER);
    const buffer = poisoned();
    while (build.next !== undefined) {
      build.ask(buffer);
      const [answer] = this.send(path[0]!, [buffer.copy()]);
      assert.ok(answer !== undefined, `router ${build.next + 1} does not answer`);
      assert.equal(build.take(poisoned(answer)), undefined);
    }
    this.carried.length = 0;
    for (const log of this.logs) log.clear();
    return circuit;
  }

  /** Delivers an answer from an exit. Returns what the proxy receives. */
  answer(
    { router, handle }: Pick<AtExit, "router" | "handle">,
    packet: Uint8Array,
    isFromWorld = true,
  ): Uint8Array[] {
    this.#delivers[router - 1]!(handle, poisoned(packet), isFromWorld, 0);
    return this.#settle(0);
  }

  /** The counters of a router. */
  counted(router: number): Snapshot {
    return this.#counters[router - 1]!.snapshot();
  }

  #settle(now: number): Uint8Array[] {
    const toProxy: Uint8Array[] = [];
    for (let next = this.#underWay.shift(); next !== undefined; next = this.#underWay.shift()) {
      const { from, to, cell } = next;
      if (to === 0) toProxy.push(cell);
      else if (!this.isDeaf(to)) {
        this.cores[to - 1]!.fromLink(this.#partiesFrom(to).indexOf(from), poisoned(cell), now);
      }
    }
    return toProxy;
  }

  /** Numbers of a router's neighbours, in the order of its link. */
  #partiesFrom(router: number): number[] {
    return [0, ...this.cores.keys().map((index) => index + 1)].filter((party) => party !== router);
  }
}
