/**
 * Nodes: a core joined to its devices. The packet thread runs one node; a network in memory runs
 * several.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { ExitMaker, World } from "../node/exit.ts";
import type { RouterDescription } from "../circuit/origin/builder.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { Link } from "../device/link.ts";
import { type ProxyConfig, ProxyCore } from "../node/proxy.ts";
import { type RouterConfig, RouterCore, type RouterSecrets } from "../node/router.ts";
import type { Trace } from "../trace/trace.ts";
import type { Tun } from "../device/tun.ts";
import { countRefused, DeviceSource, LinkSource, type Source } from "./source.ts";

/** A core with its devices. */
export interface Node {
  /** The sources to read from, most urgent first. */
  readonly sources: readonly Source[];
  /** When {@linkcode Node.expire} next has something to do, in ms; Infinity for never. */
  deadline(): number;
  /** Does everything that is due. */
  expire(now: number): void;
  /**
   * Replaces a neighbour by a new one, which knows no circuits. Without one, the neighbour is lost.
   *
   * @param neighbour its index on the link
   */
  replaceNeighbour(neighbour: number, by: RouterDescription | undefined, now: number): void;
  /** Ends what the core has created at other members, e.g. its circuits. */
  end?(): void;
}

/** A router's node. */
export interface RouterNode extends Node {
  /** The number of circuits that it knows. */
  circuits(): number;
}

/**
 * An onion proxy with its TUN interface and its link. Sources: the link, then the TUN interface.
 *
 * @param crypto needed if circuits are sealed
 * @param random numbers in [0, 1) that an outsider cannot guess
 */
export function proxyNode(
  config: ProxyConfig,
  tun: Tun,
  link: Link,
  trace: Trace,
  crypto?: CryptoProvider,
  random: () => number = unguessable,
): Node {
  const outbox = {
    toTun: (packet: PacketBuffer) => tun.send(packet),
    toRouter: (neighbour: number, cell: PacketBuffer) => link.send(neighbour, cell),
  };
  const buffer = new PacketBuffer();
  const core = new ProxyCore(config, outbox, trace, random, crypto);
  return {
    sources: [
      new LinkSource({ link, buffer, trace, core, bringsAnswers: true }),
      new DeviceSource({
        device: tun,
        link,
        buffer,
        trace,
        take: (packet, now) => core.fromTun(packet, now),
      }),
    ],
    ...timed(core, link, trace),
    replaceNeighbour(router, by, now) {
      link.replaceNeighbour(router, by?.link);
      core.replaceRouter(router, by, now);
    },
    end: () => core.end(),
  };
}

/**
 * An onion router with its link and its exit. Sources: the link, then the exit's device, if it has
 * one.
 *
 * @param secrets needed if circuits are sealed
 * @param random numbers in [0, 1) that an outsider cannot guess
 */
export function routerNode(
  config: RouterConfig,
  link: Link,
  trace: Trace,
  makeExit: ExitMaker,
  secrets?: RouterSecrets,
  random: () => number = unguessable,
): RouterNode {
  const outbox = { toNeighbour: (neighbour: number, cell: PacketBuffer) => link.send(neighbour, cell) };
  const buffer = new PacketBuffer();
  const worlds: World[] = [];
  const core = new RouterCore(config, outbox, trace, (deliver) => {
    const exit = makeExit(deliver, trace, random);
    if (exit.world !== undefined) worlds.push(exit.world);
    return exit;
  }, secrets);
  return {
    sources: [
      // A router that stayed awake for answers would block the processor that it shares (ADR 11).
      new LinkSource({ link, buffer, trace, core, bringsAnswers: false }),
      ...worlds.map(({ device, take }) => new DeviceSource({ device, link, buffer, trace, take })),
    ],
    circuits: () => core.circuits,
    replaceNeighbour(neighbour, by) {
      link.replaceNeighbour(neighbour, by?.link);
      core.replaceNeighbour(neighbour, by?.link);
    },
    ...timed(core, link, trace),
  };
}

/** Something with deadlines. */
interface Timed {
  readonly deadline: number;
  expire(now: number): void;
}

/** The deadlines of a core and its link together. */
function timed(core: Timed, link: Link, trace: Trace): Pick<Node, "deadline" | "expire"> {
  return {
    deadline: () => Math.min(core.deadline, link.deadline),
    expire(now) {
      link.cork();
      core.expire(now);
      link.expire(now);
      countRefused(link.uncork(), trace);
    },
  };
}

/** A number in [0, 1) that an outsider cannot guess. */
function unguessable(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32;
}
