/**
 * A whole network in one process: a proxy, its routers and the links between them, all in memory,
 * and a clock that only the caller moves. This file shows how the parts make a network:
 *
 * 1. `Network` holds what all members agree on. Each member's own config follows from it.
 * 2. Each member gets a link, whose neighbours have the order that the config assumes.
 * 3. `proxyNode` and `routerNode` join a core to its devices.
 * 4. {@linkcode MemoryNetwork.run} moves packets until none moves any more.
 *
 * @module
 */
import { CIRCUIT_LIMITS, type CircuitLimits } from "../circuit/origin/pool.ts";
import type { CryptoProvider, KeyPair } from "../crypto/provider.ts";
import { type IpAddress, LOOPBACK } from "../ip/address.ts";
import { type Cidr, hopOf } from "../ip/cidr.ts";
import { type Network, proxyConfig, routerConfig } from "../node/network.ts";
import { EchoExit } from "../exit/echo/core.ts";
import { RawIcmpExit } from "../exit/raw_icmp/core.ts";
import type { CircuitPlan } from "../node/proxy.ts";
import type { ExitMaker } from "../node/exit.ts";
import { type Node, proxyNode, type RouterNode, routerNode } from "../runtime/node.ts";
import { Counters } from "../trace/counters.ts";
import { type EventSink, SILENT } from "../trace/events.ts";
import { FaultLink, type Faults } from "./fault_link.ts";
import { MemoryMedium } from "./link.ts";
import { seededRandom } from "./random.ts";
import { MemoryTun } from "./tun.ts";
import type { MemoryWorld } from "./world.ts";

/** Port of the proxy; router i has the i-th port after it. Any number would do. */
const PROXY_PORT = 40_000;

/** Default MTU of the links in bytes, that of loopback. */
const LINK_MTU = 65_535;

/** How a network in memory builds circuits. */
export interface MemoryCircuits {
  /** Routers on a path; fewer than there are. */
  readonly hops: number;
  /** Seals the circuits. They are plain without it. */
  readonly crypto?: CryptoProvider;
  /** Limits other than the default. */
  readonly limits?: Partial<CircuitLimits>;
  /** A client whose circuit is built at the start. */
  readonly firstClient?: IpAddress;
}

/** The parts of a network in memory. */
export interface MemoryNetworkOptions {
  /** The proxy's address on the tunnel, and its block. */
  readonly address: Cidr;
  /** MTU of the TUN interface in bytes; 1500 unless given. */
  readonly mtu?: number;
  /** MTU of the links between the members, in bytes; 65,535 unless given. */
  readonly linkMtu?: number;
  /**
   * A router for each world, with a raw ICMP exit into it. Without worlds, one router answers pings
   * itself.
   */
  readonly worlds?: readonly MemoryWorld[];
  /** Builds circuits. Without it, each router has a circuit of one hop from the start. */
  readonly circuits?: MemoryCircuits;
  /** Faults of every link; none unless given. */
  readonly faults?: Faults;
  /** The seed of faults, paths and echo identifiers; 1 unless given. */
  readonly seed?: number;
  /** Returns numbers in [0, 1) for paths and echo identifiers; from the seed unless given. */
  readonly random?: () => number;
  /** Receive the events of the proxy and of each router. */
  readonly events?: { readonly proxy?: EventSink; readonly routers?: readonly EventSink[] };
}

/**
 * A proxy, its routers and the links between them, in memory.
 *
 * ```
 *   inject ──► MemoryTun ──► proxy ──► router … router ──► exit ──► MemoryWorld, if there is one
 *   take   ◄── MemoryTun ◄── proxy ◄── router … router ◄── exit ◄── MemoryWorld
 * ```
 */
export class MemoryNetwork {
  /** The TUN interface of the proxy. Play the host with it. */
  readonly tun: MemoryTun = new MemoryTun();
  /**
   * The medium that carries the cells. Add a link to play a stranger; set `tamper` to play a link's
   * owner.
   */
  readonly medium: MemoryMedium = new MemoryMedium();
  /** Counters of the proxy and of each router; `router` is the first router's. */
  readonly counters: {
    readonly proxy: Counters;
    readonly router: Counters;
    readonly routers: readonly Counters[];
  };
  /** Ports of the members on the medium; `router` is the first router's. */
  readonly ports: { readonly proxy: number; readonly router: number; readonly routers: readonly number[] };
  /** Milliseconds since the network was made. */
  now = 0;
  readonly #nodes: readonly Node[];
  readonly #routers: readonly RouterNode[];
  readonly #links: readonly FaultLink[];

  /** A network that is up and at rest. */
  constructor(options: MemoryNetworkOptions) {
    const { address, mtu = 1500, linkMtu = LINK_MTU, faults = {}, seed = 1, events = {} } = options;
    const exits = exitsOf(address, options.worlds);
    const random = options.random ?? seededRandom(seed + exits.length + 1);
    const crypto = options.circuits?.crypto;
    const keys = exits.map(() => crypto?.generateKeyPair());
    const ports = exits.map((_, index) => PROXY_PORT + 1 + index);
    this.ports = { proxy: PROXY_PORT, router: ports[0]!, routers: ports };

    const network: Network = {
      circuits: planOf(options.circuits),
      carries: ["icmp"],
      linkMtu,
      tunMtu: mtu,
      proxy: { address: LOOPBACK, port: PROXY_PORT },
      routers: exits.map(({ address }, index) => ({
        link: { address: LOOPBACK, port: ports[index]! },
        address,
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
    const proxy = proxyNode(
      proxyConfig(network, options.worlds && hopOf(address)),
      this.tun,
      proxyLink,
      { counters: proxyCounters, events: events.proxy ?? SILENT },
      crypto,
      random,
    );
    const routers = exits.map(({ make }, index) => {
      const neighbours = [PROXY_PORT, ...ports.filter((port) => port !== ports[index])];
      const link = linkOf(ports[index]!, neighbours, seed + 1 + index);
      const counters = new Counters();
      const node = routerNode(
        routerConfig(network, index + 1),
        link,
        { counters, events: events.routers?.[index] ?? SILENT },
        make,
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

  /** The number of circuits that each router has now. */
  get circuits(): readonly number[] {
    return this.#routers.map((router) => router.circuits());
  }

  /** The time of the next deadline in ms; Infinity if there is none. */
  get deadline(): number {
    return Math.min(...this.#nodes.map((node) => node.deadline()));
  }

  /** Lets `elapsed` ms pass, then moves packets until none moves any more. */
  run(elapsed = 0): void {
    this.now += elapsed;
    for (const node of this.#nodes) if (node.deadline() <= this.now) node.expire(this.now);
    let moved: number;
    do {
      moved = 0;
      for (const node of this.#nodes) for (const source of node.sources) moved += source.move(this.now);
      // A datagram that a fault holds back waits for the next one, but not for ever.
      if (moved === 0) { for (const link of this.#links) moved += Number(link.release()); }
    } while (moved > 0);
  }
}

function planOf(circuits: MemoryCircuits | undefined): CircuitPlan {
  if (circuits === undefined) return { kind: "direct", hops: 1, limits: CIRCUIT_LIMITS };
  const { hops, crypto, limits, firstClient } = circuits;
  return {
    kind: crypto === undefined ? "plain" : "sealed",
    hops,
    limits: { ...CIRCUIT_LIMITS, ...limits },
    ...(firstClient !== undefined && { firstClient }),
  };
}

function secretsOf(crypto: CryptoProvider | undefined, keys: KeyPair | undefined) {
  return crypto === undefined || keys === undefined ? undefined : { crypto, keys };
}

/** How each router leaves, and its address in the world. */
function exitsOf(
  block: Cidr,
  worlds: readonly MemoryWorld[] | undefined,
): { make: ExitMaker; address?: IpAddress }[] {
  if (worlds === undefined) return [{ make: (deliver, trace) => new EchoExit(block, deliver, trace) }];
  return worlds.map((world) => {
    const { address, mtu } = world;
    const config = { address, mtu, hop: hopOf(block) };
    return { address, make: (...parts) => new RawIcmpExit(config, world, ...parts) };
  });
}
