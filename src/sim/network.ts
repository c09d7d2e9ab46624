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
import type { RouterDescription } from "../circuit/origin/builder.ts";
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
  /** Milliseconds since the network was made. */
  now = 0;
  readonly #options: MemoryNetworkOptions;
  readonly #random: () => number;
  readonly #exits: readonly MemoryExit[];
  readonly #proxy: Member;
  /** The running process of each router; undefined while it is dead. */
  readonly #routers: (Member<RouterNode> | undefined)[];
  /** The numbers of the routers that are known to be dead. */
  readonly #lost = new Set<number>();
  #network: Network;
  #nextPort: number;

  /** A network that is up and at rest. */
  constructor(options: MemoryNetworkOptions) {
    const { address, mtu = 1500, linkMtu = LINK_MTU, seed = 1, events = {} } = options;
    this.#options = options;
    this.#exits = exitsOf(address, options.worlds);
    this.#random = options.random ?? seededRandom(seed + this.#exits.length + 1);
    const crypto = options.circuits?.crypto;
    const keys = this.#exits.map(() => crypto?.generateKeyPair());
    const ports = this.#exits.map((_, index) => PROXY_PORT + 1 + index);
    this.#nextPort = PROXY_PORT + 1 + ports.length;
    this.#network = {
      circuits: planOf(options.circuits),
      carries: ["icmp"],
      linkMtu,
      tunMtu: mtu,
      proxy: { address: LOOPBACK, port: PROXY_PORT },
      routers: this.#exits.map(({ address }, index) => ({
        link: { address: LOOPBACK, port: ports[index]! },
        address,
        ...(keys[index] && { key: keys[index].publicKey }),
      })),
    };
    const routers = this.#exits.map(() => new Counters());
    this.counters = { proxy: new Counters(), router: routers[0]!, routers };
    const link = this.#link(PROXY_PORT, ports, seed);
    const node = proxyNode(
      proxyConfig(this.#network, options.worlds && hopOf(address)),
      this.tun,
      link,
      { counters: this.counters.proxy, events: events.proxy ?? SILENT },
      crypto,
      this.#random,
    );
    this.#proxy = { node, link };
    this.#routers = this.#exits.map((_, index) => this.#startRouter(index + 1, keys[index]));
  }

  /**
   * Ends a router as SIGKILL does. Nobody notices yet: cells to it are lost.
   *
   * @param number its number, from 1
   */
  kill(number: number): void {
    this.medium.unlink(this.#network.routers[number - 1]!.link.port);
    this.#routers[number - 1] = undefined;
  }

  /** Tells the others that a router, killed before, is dead. */
  lose(number: number): void {
    this.#lost.add(number);
    this.#replace(number, undefined);
  }

  /** Starts a router, killed and lost before, again: with a new port, new keys and no circuits. */
  restart(number: number): void {
    const index = number - 1;
    const keys = this.#options.circuits?.crypto?.generateKeyPair();
    const by = { link: { address: LOOPBACK, port: this.#nextPort++ }, ...(keys && { key: keys.publicKey }) };
    const routers = this.#network.routers.with(index, { ...this.#network.routers[index]!, ...by });
    this.#network = { ...this.#network, routers };
    this.#routers[index] = this.#startRouter(number, keys);
    this.#lost.delete(number);
    for (const lost of this.#lost) {
      this.#routers[index].node.replaceNeighbour(neighbourOf(number, lost), undefined, this.now);
    }
    this.#replace(number, by);
  }

  /** Ports of the members on the medium; `router` is the first router's. */
  get ports(): { readonly proxy: number; readonly router: number; readonly routers: readonly number[] } {
    const routers = this.#network.routers.map(({ link }) => link.port);
    return { proxy: PROXY_PORT, router: routers[0]!, routers };
  }

  /** The number of circuits that each router has now. */
  get circuits(): readonly number[] {
    return this.#routers.map((router) => router?.node.circuits() ?? 0);
  }

  /** The time of the next deadline in ms; Infinity if there is none. */
  get deadline(): number {
    return Math.min(...this.#members.map(({ node }) => node.deadline()));
  }

  /** Lets `elapsed` ms pass, then moves packets until none moves any more. */
  run(elapsed = 0): void {
    this.now += elapsed;
    const members = this.#members;
    for (const { node } of members) if (node.deadline() <= this.now) node.expire(this.now);
    let moved: number;
    do {
      moved = 0;
      for (const { node } of members) for (const source of node.sources) moved += source.move(this.now);
      // A datagram that a fault holds back waits for the next one, but not for ever.
      if (moved === 0) { for (const { link } of members) moved += Number(link.release()); }
    } while (moved > 0);
  }

  /** All members that run. */
  get #members(): readonly Member[] {
    return [this.#proxy, ...this.#routers.filter((router) => router !== undefined)];
  }

  #link(port: number, neighbours: readonly number[], seed: number): FaultLink {
    const link = this.medium.link(port);
    for (const neighbour of neighbours) link.addNeighbour(neighbour);
    return new FaultLink(link, this.#options.faults ?? {}, seed);
  }

  #startRouter(number: number, keys: KeyPair | undefined): Member<RouterNode> {
    const { seed = 1, events, circuits } = this.#options;
    const index = number - 1;
    const { routers } = this.ports;
    const others = routers.filter((_, other) => other !== index);
    const link = this.#link(routers[index]!, [PROXY_PORT, ...others], seed + number);
    const node = routerNode(
      routerConfig(this.#network, number),
      link,
      { counters: this.counters.routers[index]!, events: events?.routers?.[index] ?? SILENT },
      this.#exits[index]!.make,
      secretsOf(circuits?.crypto, keys),
      this.#random,
    );
    return { node, link };
  }

  /** Replaces a router at all others. */
  #replace(number: number, by: RouterDescription | undefined): void {
    this.#routers.forEach((router, index) => {
      if (index + 1 === number) return;
      router?.node.replaceNeighbour(neighbourOf(index + 1, number), by, this.now);
    });
    this.#proxy.node.replaceNeighbour(number - 1, by, this.now);
  }
}

/** A running member of a network, with its link. */
interface Member<Kind extends Node = Node> {
  readonly node: Kind;
  readonly link: FaultLink;
}

/** How a router leaves, and its address in the world. */
interface MemoryExit {
  readonly make: ExitMaker;
  readonly address?: IpAddress;
}

/** The index of a router on the link of another one, whose first neighbour is the proxy. */
function neighbourOf(router: number, other: number): number {
  return other < router ? other : other - 1;
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

/** The exit of each router. */
function exitsOf(block: Cidr, worlds: readonly MemoryWorld[] | undefined): MemoryExit[] {
  if (worlds === undefined) return [{ make: (deliver, trace) => new EchoExit(block, deliver, trace) }];
  return worlds.map((world) => {
    const { address } = world;
    const config = { address, hop: hopOf(block) };
    return { address, make: (...parts) => new RawIcmpExit(config, world, ...parts) };
  });
}
