/**
 * A whole network in one process: proxy, routers and links in memory, and a clock that only the caller moves.
 *
 * @module
 */
import { CIRCUIT_LIMITS, type CircuitLimits } from "../circuit/origin/pool.ts";
import type { CryptoProvider, KeyPair } from "../crypto/provider.ts";
import type { MemoryWorld } from "./internet.ts";
import { hopOf } from "../exit/raw_icmp/raw_icmp.ts";
import { FaultLink, type Faults, randomFrom } from "./fault_link.ts";
import { MemoryMedium } from "./link.ts";
import { Counters } from "../trace/counters.ts";
import { type EventSink, SILENT } from "../trace/events.ts";
import { MemoryTun } from "./tun.ts";
import type { Cidr } from "../ip/cidr.ts";
import { type CircuitPlan, type Network, proxyConfig, routerConfig } from "../node/network.ts";
import { type ExitConfig, type Node, proxyNode, type RouterNode, routerNode } from "../runtime/node.ts";

/** The UDP port of the proxy in memory, behind which come the routers'; any would do. */
const PROXY_PORT = 40_000;

/** What the links take unless somebody says otherwise, in bytes: what loopback does. */
const LINK_MTU = 65_535;

/** How packets leave a network in memory: stage 2's exit, or stage 3's into a world in memory. */
export type MemoryExit =
  | { readonly kind: "echo" }
  | {
    readonly kind: "raw-icmp";
    /** The world behind the router; several for several routers, one behind each. */
    readonly world: MemoryWorld | readonly MemoryWorld[];
  };

/** The circuits of a network in memory that builds them. */
export interface MemoryCircuits {
  /** Routers that a packet passes, fewer than there are. */
  readonly hops: number;
  /** What seals them; without it they are plain. */
  readonly crypto?: CryptoProvider;
  /** The usual ones unless given. */
  readonly limits?: Partial<CircuitLimits>;
  /** A client whose circuit is built at once. */
  readonly firstClient?: number;
}

/** What a network in memory is made of. */
export interface MemoryNetworkOptions {
  /** The tunnel's own address and its block. */
  readonly address: Cidr;
  /** Bytes of the longest packet towards the host; 1500 unless given. */
  readonly mtu?: number;
  /** Bytes of the longest IP packet that the links between the members take; 65,535 unless given. */
  readonly linkMtu?: number;
  /** How packets leave; by the echo exit unless given. */
  readonly exit?: MemoryExit;
  /** How circuits are built; unless given, one to each router is there from the start. */
  readonly circuits?: MemoryCircuits;
  /** Faults of every link; none unless given. */
  readonly faults?: Faults;
  /** What faults, paths and identifiers are drawn from; the same seed gives the same ones. */
  readonly seed?: number;
  /** Numbers in [0, 1) that paths and the identifiers in the world are drawn from; from the seed unless given. */
  readonly random?: () => number;
  /** Told what each party logs: the proxy, and each router or all of them. */
  readonly events?: {
    readonly proxy?: EventSink;
    readonly router?: EventSink;
    readonly routers?: readonly EventSink[];
  };
}

/**
 * A proxy, its routers and the links between them, in memory.
 *
 * ```
 *   inject ──► MemoryTun ──► proxy ──► router … router ──► exit ──► MemoryWorld, from stage 3 on
 *   take   ◄── MemoryTun ◄── proxy ◄── router … router ◄── exit ◄── MemoryWorld
 * ```
 */
export class MemoryNetwork {
  /** The proxy's TUN interface: play the host with it. */
  readonly tun: MemoryTun = new MemoryTun();
  /** The medium that carries the cells: join it to play a stranger, tamper with it to play whoever owns a link. */
  readonly medium: MemoryMedium = new MemoryMedium();
  /** What was counted, of the routers by each; `router` is the first one. */
  readonly counters: {
    readonly proxy: Counters;
    readonly router: Counters;
    readonly routers: readonly Counters[];
  };
  /** The ports that the members have on the medium; `router` is the first one's. */
  readonly ports: { readonly proxy: number; readonly router: number; readonly routers: readonly number[] };
  /** Milliseconds since the network was made. */
  now = 0;
  readonly #nodes: readonly Node[];
  readonly #routers: readonly RouterNode[];
  readonly #links: readonly FaultLink[];

  /** A network that has just come up. */
  constructor(options: MemoryNetworkOptions) {
    const { address, mtu = 1500, linkMtu = LINK_MTU, faults = {}, seed = 1, events = {} } = options;
    const exits = exitsOf(options.exit ?? { kind: "echo" }, address);
    const random = options.random ?? randomFrom(seed + exits.length + 1);
    const crypto = options.circuits?.crypto;
    const keys = exits.map(() => crypto?.generateKeyPair());
    const ports = exits.map((_, index) => PROXY_PORT + 1 + index);
    this.ports = { proxy: PROXY_PORT, router: ports[0]!, routers: ports };
    const network: Network = {
      circuits: planOf(options.circuits),
      linkMtu,
      tunMtu: mtu,
      proxy: { address: 0, port: PROXY_PORT },
      routers: exits.map(({ config }, index) => ({
        link: { address: 0, port: ports[index]! },
        address: config.kind === "raw-icmp" ? config.address : 0,
        ...(keys[index] && { key: keys[index].publicKey }),
      })),
    };

    const linkOf = (port: number, neighbours: readonly number[], seed: number) => {
      const link = this.medium.link(port);
      for (const neighbour of neighbours) link.addNeighbour(neighbour);
      return new FaultLink(link, faults, seed);
    };
    const proxyLink = linkOf(PROXY_PORT, ports, seed);
    const proxyCounters = new Counters();
    const refuses = exits.some(({ config }) => config.kind === "raw-icmp");
    const proxy = proxyNode(
      proxyConfig(network, refuses ? hopOf(address) : undefined),
      this.tun,
      proxyLink,
      { counters: proxyCounters, events: events.proxy ?? SILENT },
      crypto,
      random,
    );
    const routers = exits.map(({ config, world }, index) => {
      const neighbours = [PROXY_PORT, ...ports.filter((port) => port !== ports[index])];
      const link = linkOf(ports[index]!, neighbours, seed + 1 + index);
      const counters = new Counters();
      const node = routerNode(
        { ...routerConfig(network, index + 1), exit: config },
        link,
        { counters, events: events.routers?.[index] ?? events.router ?? SILENT },
        world,
        secretsOf(crypto, keys[index]),
        random,
      );
      return { node, link, counters };
    });
    this.#links = [proxyLink, ...routers.map(({ link }) => link)];
    this.#routers = routers.map(({ node }) => node);
    this.#nodes = [proxy, ...this.#routers];
    this.counters = {
      proxy: proxyCounters,
      router: routers[0]!.counters,
      routers: routers.map(({ counters }) => counters),
    };
  }

  /** Circuits that each router knows at present. */
  get circuits(): readonly number[] {
    return this.#routers.map((router) => router.circuits());
  }

  /** When something is next due, in ms; Infinity for never. */
  get deadline(): number {
    return Math.min(...this.#nodes.map((node) => node.deadline()));
  }

  /** Lets `elapsed` ms pass, then moves packets until nothing moves any more. */
  run(elapsed = 0): void {
    this.now += elapsed;
    for (const node of this.#nodes) if (node.deadline() <= this.now) node.expire(this.now);
    let moved: number;
    do {
      moved = 0;
      for (const node of this.#nodes) for (const source of node.sources) moved += source.move(this.now);
      // What a link holds back waits for something to overtake it, but not for ever.
      if (moved === 0) { for (const link of this.#links) moved += Number(link.release()); }
    } while (moved > 0);
  }
}

function planOf(circuits: MemoryCircuits | undefined): CircuitPlan {
  if (circuits === undefined) return { kind: "given" };
  const { hops, crypto, limits, firstClient } = circuits;
  return {
    kind: "built",
    isSealed: crypto !== undefined,
    hops,
    limits: { ...CIRCUIT_LIMITS, ...limits },
    ...(firstClient !== undefined && { firstClient }),
  };
}

function secretsOf(crypto: CryptoProvider | undefined, keys: KeyPair | undefined) {
  return crypto === undefined || keys === undefined ? undefined : { crypto, keys };
}

function exitsOf(exit: MemoryExit, block: Cidr): { config: ExitConfig; world?: MemoryWorld }[] {
  switch (exit.kind) {
    case "echo":
      return [{ config: { kind: "echo", block } }];
    case "raw-icmp":
      return [exit.world].flat().map((world) => {
        const { address, mtu } = world;
        return { config: { kind: "raw-icmp", address, mtu, hop: hopOf(block) }, world };
      });
  }
}
