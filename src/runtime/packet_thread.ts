/**
 * The packet thread: a Worker that blocks in poll(2) and moves packets. It takes orders by message.
 * The sender rings the doorbell first, once for each order, because a blocked thread hears nothing
 * else.
 *
 * @module
 */
import type { RouterDescription } from "../circuit/origin/builder.ts";
import { hasLayers } from "../circuit/kind.ts";
import { chooseProvider } from "../crypto/provider/choose.ts";
import type { KeyPair } from "../crypto/provider.ts";
import { DelayLink } from "../device/delay_link.ts";
import { UdpLink } from "../device/udp_link.ts";
import { allowCpus, allowedCpus, onlyCpu, setPolicy } from "../sys/affinity.ts";
import { monotonic } from "../sys/clock.ts";
import { answerDoorbell } from "../sys/doorbell.ts";
import { compileCalls } from "../sys/libc.ts";
import { Counters } from "../trace/counters.ts";
import { EventRing, type Keeps } from "../trace/event_ring.ts";
import { LinuxTun } from "../device/linux_tun.ts";
import { type TapOptions, Taps } from "../device/tap/taps.ts";
import { exitMaker } from "../exit/cores.ts";
import type { ExitSettings } from "../exit/registry.ts";
import type { ProxyConfig } from "../node/proxy.ts";
import type { RouterConfig } from "../node/router.ts";
import { proxyNode, routerNode } from "./node.ts";
import { Placement } from "./placement.ts";
import { runUntilDoorbell, type Turnable } from "./loop.ts";
import type { Endpoint } from "../ip/address.ts";

/** The role of a packet thread: the settings of its node, and the descriptors of its devices. */
export type Role =
  | { readonly kind: "proxy"; readonly config: ProxyConfig; readonly tun: number }
  | {
    readonly kind: "router";
    readonly config: RouterConfig;
    readonly exit: ExitSettings;
    /** The router's static keys, if circuits have layers. */
    readonly keys: KeyPair | undefined;
    /** The descriptor of the exit's device, if it has one. */
    readonly device: number | undefined;
  };

/** The options of a packet thread. */
export interface ThreadOptions {
  /** Which events go to the control thread, and how much of them. */
  readonly logs: Keeps;
  /** Milliseconds that the link delays every cell that it sends. */
  readonly latency: number;
  /** Where captures go, if any. */
  readonly taps?: TapOptions;
  /**
   * The processor that all packet threads of the network share under light load; any if undefined.
   */
  readonly cpu?: number;
}

/** An order to the packet thread. */
export type Order =
  | {
    readonly kind: "start";
    readonly role: Role;
    /** The descriptor of the data link's socket, and the endpoints of the neighbours. */
    readonly link: number;
    readonly neighbours: readonly Endpoint[];
    readonly doorbell: number;
    readonly counters: SharedArrayBuffer;
    readonly ring: SharedArrayBuffer;
    readonly options: ThreadOptions;
  }
  | {
    readonly kind: "replace";
    /** The index of the neighbour on the link. */
    readonly neighbour: number;
    /** The new neighbour; undefined if the old one is lost. */
    readonly by: RouterDescription | undefined;
  }
  | { readonly kind: "stop" };

/** A report of the packet thread. */
export type Report =
  | { readonly kind: "alive" }
  | { readonly kind: "stopped" }
  | { readonly kind: "failed"; readonly message: string };

/** The part of a Worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<Order>) => void) | null;
  postMessage(report: Report): void;
  close(): void;
}

const scope = self as unknown as WorkerScope;
let running: (Turnable & { readonly doorbell: number }) | undefined;

/**
 * Resolves when the orders so far are carried out. Orders run in sequence, because a start is
 * asynchronous.
 */
let obeying: Promise<void> = Promise.resolve();

scope.onmessage = ({ data: order }) => {
  obeying = obeying.then(() => hear(order));
};
scope.postMessage({ kind: "alive" });

async function hear(order: Order): Promise<void> {
  try {
    await obey(order);
    if (running === undefined) return;
    answerDoorbell(running.doorbell);
    runUntilDoorbell(running, running.doorbell);
  } catch (error) {
    running = undefined;
    scope.postMessage({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  }
}

async function obey(order: Order): Promise<void> {
  switch (order.kind) {
    case "start":
      // Now there is time to compile, because the control threads exchange messages until all are
      // ready.
      compileCalls();
      running = await start(order);
      return;
    case "replace":
      running?.node.replaceNeighbour(order.neighbour, order.by, monotonic());
      return;
    case "stop":
      running?.node.end?.();
      running = undefined;
      scope.postMessage({ kind: "stopped" });
      scope.close();
      return;
  }
}

/** Places this thread by its load. Returns undefined to leave its placement to the kernel. */
function placementOn(cpu: number | undefined): Placement | undefined {
  const all = allowedCpus();
  if (cpu === undefined || all === undefined) return undefined;
  return new Placement({
    free() {
      allowCpus(all);
      setPolicy("normal");
    },
    gather() {
      allowCpus(onlyCpu(cpu));
      setPolicy("normal");
    },
    spread() {
      allowCpus(all);
      setPolicy("batch");
    },
  });
}

async function start(
  order: Extract<Order, { kind: "start" }>,
): Promise<Turnable & { readonly doorbell: number }> {
  const counters = new Counters(order.counters);
  const { logs, latency, taps: tapped } = order.options;
  const ring = new EventRing(order.ring, { keeps: logs, lost: () => counters.count("log-lost") });
  const taps = tapped && new Taps(tapped, () => performance.timeOrigin + performance.now(), console.error);
  const trace = { counters, events: ring };
  const udp = new UdpLink(order.link, order.neighbours);
  const slow = latency === 0 ? udp : new DelayLink(udp, latency, monotonic);
  const link = taps?.link(slow) ?? slow;
  const { doorbell, role } = order;
  const placement = placementOn(order.options.cpu);
  switch (role.kind) {
    case "proxy": {
      const crypto = hasLayers(role.config.circuits.kind) ? await chooseProvider() : undefined;
      const linux = new LinuxTun(role.tun);
      const node = proxyNode(role.config, taps?.tun(linux) ?? linux, link, trace, crypto);
      return { node, ring, doorbell, placement };
    }
    case "router": {
      const secrets = role.keys && { crypto: await chooseProvider(), keys: role.keys };
      const seen = { ...trace, ...(taps && { tap: taps.inside() }) };
      const node = routerNode(role.config, link, seen, exitMaker(role.exit, role.device, taps), secrets);
      return { node, ring, doorbell, placement };
    }
  }
}
