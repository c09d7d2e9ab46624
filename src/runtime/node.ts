/**
 * Nodes: a core joined to the devices that feed it. The packet thread turns one; a network in memory turns several.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { ExitMaker, World } from "../node/exit.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { Link } from "../device/link.ts";
import { type ProxyConfig, ProxyCore } from "../node/proxy.ts";
import { type RouterConfig, RouterCore, type RouterSecrets } from "../node/router.ts";
import type { Trace } from "../trace/trace.ts";
import type { Tun } from "../device/tun.ts";
import { countRefused, DeviceSource, LinkSource, type Source } from "./source.ts";

/** A core with its devices. */
export interface Node {
  /** The devices to read from, the most urgent first. */
  readonly sources: readonly Source[];
  /** When {@linkcode Node.expire} next has something to do, in ms; Infinity for never. */
  deadline(): number;
  /** Does what is due. */
  expire(now: number): void;
  /** Takes its leave, where it has begun something with others that ends now. */
  end?(): void;
}

/** A router's node. */
export interface RouterNode extends Node {
  /** Circuits that it knows at present. */
  circuits(): number;
}

/**
 * An onion proxy with its TUN interface and its link. Sources: link, TUN.
 *
 * @param crypto needed where circuits are sealed
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
    end: () => core.end(),
  };
}

/**
 * An onion router with its link and its exit. Sources: link, and the exit's device if it has one.
 *
 * @param secrets needed where sealed circuits are begun
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
      // Nobody on this host waits for them: a router that stayed awake would block the others' processor (ADR 11).
      new LinkSource({ link, buffer, trace, core, bringsAnswers: false }),
      ...worlds.map(({ device, take }) => new DeviceSource({ device, link, buffer, trace, take })),
    ],
    circuits: () => core.circuits,
    ...timed(core, link, trace),
  };
}

/** Something that has to be done at its time. */
interface Timed {
  readonly deadline: number;
  expire(now: number): void;
}

/** What a core and its link do at their time. */
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
