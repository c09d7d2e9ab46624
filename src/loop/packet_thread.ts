/**
 * The packet thread: a Worker that blocks in poll(2) and moves packets. It takes orders by message; whoever sends
 * one rings the doorbell first, once for each, because a blocked thread hears nothing else.
 *
 * @module
 */
import { UdpLink } from "../link/udp.ts";
import { answerDoorbell } from "../sys/doorbell.ts";
import type { SocketAddress } from "../sys/udp.ts";
import { Counters } from "../trace/counters.ts";
import { EventRing, SILENT } from "../trace/events.ts";
import { LinuxTun } from "../tun/linux.ts";
import { RawIcmpSocket } from "../exit/raw_icmp_socket.ts";
import type { ProxyConfig } from "../proxy/proxy.ts";
import { proxyNode, routerNode, type RouterNodeConfig } from "./node.ts";
import { runUntilDoorbell, type Turnable } from "./run.ts";

/** The role that a packet thread plays: what its node needs, and the descriptors of its devices. */
export type Role =
  | { readonly kind: "proxy"; readonly config: ProxyConfig; readonly tun: number }
  | {
    readonly kind: "router";
    readonly config: RouterNodeConfig;
    /** The raw ICMP socket of an exit that has one. */
    readonly socket: number | undefined;
  };

/** An order to the packet thread. */
export type Order =
  | {
    readonly kind: "start";
    readonly role: Role;
    /** Descriptor of the data link's socket, and the neighbours' addresses. */
    readonly link: number;
    readonly peers: readonly SocketAddress[];
    readonly doorbell: number;
    readonly counters: SharedArrayBuffer;
    readonly ring: SharedArrayBuffer;
    /** Whether single packets become events. */
    readonly logsPackets: boolean;
  }
  | { readonly kind: "stop" };

/** What the packet thread says. */
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

scope.onmessage = ({ data: order }) => {
  try {
    obey(order);
    if (running === undefined) return;
    answerDoorbell(running.doorbell);
    runUntilDoorbell(running, running.doorbell);
  } catch (error) {
    running = undefined;
    scope.postMessage({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  }
};
scope.postMessage({ kind: "alive" });

function obey(order: Order): void {
  switch (order.kind) {
    case "start":
      running = start(order);
      return;
    case "stop":
      running = undefined;
      scope.postMessage({ kind: "stopped" });
      scope.close();
      return;
  }
}

function start(order: Extract<Order, { kind: "start" }>): Turnable & { readonly doorbell: number } {
  const counters = new Counters(order.counters);
  const ring = new EventRing(order.ring, () => counters.count("log-lost"));
  const trace = { counters, events: order.logsPackets ? ring : SILENT };
  const link = new UdpLink(order.link, order.peers);
  const { doorbell, role } = order;
  switch (role.kind) {
    case "proxy": {
      const node = proxyNode(role.config, new LinuxTun(role.tun), link, trace);
      return { node, fds: [order.link, role.tun], ring, doorbell };
    }
    case "router": {
      if (role.socket === undefined) {
        return { node: routerNode(role.config, link, trace), fds: [order.link], ring, doorbell };
      }
      const node = routerNode(role.config, link, trace, new RawIcmpSocket(role.socket));
      return { node, fds: [order.link, role.socket], ring, doorbell };
    }
  }
}
