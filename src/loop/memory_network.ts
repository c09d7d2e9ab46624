/**
 * A whole network in one process: proxy, routers and links in memory, and a clock that only the caller moves.
 *
 * @module
 */
import type { MemoryWorld } from "../exit/memory.ts";
import { hopOf } from "../exit/raw_icmp.ts";
import { FaultLink, type Faults, randomFrom } from "../link/fault.ts";
import { MemoryMedium } from "../link/memory.ts";
import { Counters } from "../trace/counters.ts";
import { type EventSink, SILENT } from "../trace/events.ts";
import { MemoryTun } from "../tun/memory.ts";
import type { Cidr } from "../wire/cidr.ts";
import { type ExitConfig, type Node, proxyNode, routerNode } from "./node.ts";

/** UDP ports in memory; any would do. */
const PROXY_PORT = 40_000;
const ROUTER_PORT = 40_001;
const CIRCUIT = 1;

/** How packets leave a network in memory: stage 2's exit, or stage 3's into a world in memory. */
export type MemoryExit =
  | { readonly kind: "echo" }
  | { readonly kind: "raw-icmp"; readonly world: MemoryWorld };

/** What a network in memory is made of. */
export interface MemoryNetworkOptions {
  /** The tunnel's own address and its block. */
  readonly address: Cidr;
  /** Bytes of the longest packet towards the host; 1500 unless given. */
  readonly mtu?: number;
  /** How packets leave; by the echo exit unless given. */
  readonly exit?: MemoryExit;
  /** Faults of every link; none unless given. */
  readonly faults?: Faults;
  /** What the faults are drawn from; the same seed gives the same faults. */
  readonly seed?: number;
  /** Numbers in [0, 1) that the identifiers in the world are drawn from; from the seed unless given. */
  readonly random?: () => number;
  /** Told what each party logs. */
  readonly events?: { readonly proxy?: EventSink; readonly router?: EventSink };
}

/**
 * A proxy, a router and the links between them, in memory.
 *
 * ```
 *   inject ──► MemoryTun ──► proxy ──► link ──► router ──► exit ──► MemoryWorld, in stage 3
 *   take   ◄── MemoryTun ◄── proxy ◄── link ◄── router ◄── exit ◄── MemoryWorld
 * ```
 */
export class MemoryNetwork {
  /** The proxy's TUN interface: play the host with it. */
  readonly tun: MemoryTun = new MemoryTun();
  /** The medium that carries the cells: join it to play a stranger. */
  readonly medium: MemoryMedium = new MemoryMedium();
  /** What was counted. */
  readonly counters: { readonly proxy: Counters; readonly router: Counters };
  /** The ports that proxy and router have on the medium. */
  readonly ports: { readonly proxy: number; readonly router: number } = {
    proxy: PROXY_PORT,
    router: ROUTER_PORT,
  };
  /** Milliseconds since the network was made. */
  now = 0;
  readonly #nodes: readonly Node[];
  readonly #links: readonly FaultLink[];

  /** A network that has just come up. */
  constructor(options: MemoryNetworkOptions) {
    const { address, mtu = 1500, faults = {}, seed = 1, random = randomFrom(seed + 2), events = {} } =
      options;
    const exit: MemoryExit = options.exit ?? { kind: "echo" };
    this.counters = { proxy: new Counters(), router: new Counters() };

    const linkOf = (port: number, peer: number, seed: number) => {
      const link = this.medium.link(port);
      link.addPeer(peer);
      return new FaultLink(link, faults, seed);
    };
    const proxyLink = linkOf(PROXY_PORT, ROUTER_PORT, seed);
    const routerLink = linkOf(ROUTER_PORT, PROXY_PORT, seed + 1);
    this.#links = [proxyLink, routerLink];
    this.#nodes = [
      proxyNode(
        {
          routers: [{ port: ROUTER_PORT, circuit: CIRCUIT }],
          ...(exit.kind === "raw-icmp" && { refuseAs: hopOf(address) }),
        },
        this.tun,
        proxyLink,
        { counters: this.counters.proxy, events: events.proxy ?? SILENT },
      ),
      routerNode(
        { neighbours: [{ port: PROXY_PORT, circuit: CIRCUIT }], mtu, exit: exitConfig(exit, address) },
        routerLink,
        { counters: this.counters.router, events: events.router ?? SILENT },
        exit.kind === "raw-icmp" ? exit.world : undefined,
        random,
      ),
    ];
  }

  /** Lets `elapsed` ms pass, then moves packets until nothing moves any more. */
  run(elapsed = 0): void {
    this.now += elapsed;
    for (const node of this.#nodes) if (node.deadline() <= this.now) node.expire(this.now);
    let moved: number;
    do {
      moved = 0;
      for (const node of this.#nodes) for (const source of node.sources) moved += source(this.now);
      // What a link holds back waits for something to overtake it, but not for ever.
      if (moved === 0) { for (const link of this.#links) moved += Number(link.release()); }
    } while (moved > 0);
  }
}

function exitConfig(exit: MemoryExit, block: Cidr): ExitConfig {
  switch (exit.kind) {
    case "echo":
      return { kind: "echo", block };
    case "raw-icmp": {
      const { address, mtu } = exit.world;
      return { kind: "raw-icmp", address, mtu, hop: hopOf(block) };
    }
  }
}
