/**
 * Derives the network and the settings of each router from the settings of a run.
 *
 * @module
 */
import { CIRCUIT_LIMITS } from "../circuit/origin/pool.ts";
import type { Settings } from "../config/settings.ts";
import type { ExitSettings, OtherRouter, TrafficSettings } from "../control/messages.ts";
import type { ExitInterface } from "../host/plan/exit_interfaces.ts";
import { type CircuitPlan, hopOf, type Network, routerConfig } from "../node/network.ts";
import type { IpAddress } from "../ip/address.ts";
import type { Cidr } from "../ip/cidr.ts";
import type { ThreadSettings } from "./router_setup.ts";

/**
 * The circuits and the link MTU of a run's network.
 *
 * @param from the address whose packets are captured; its circuit is built at once
 */
export function networkOf(
  settings: Settings,
  from: IpAddress | undefined,
): Pick<Network, "circuits" | "linkMtu"> {
  const { stage, hops, circuitLifetime, linkMtu, latency } = settings;
  // An answer is delayed twice on each link of the path.
  const answer = CIRCUIT_LIMITS.answer + 2 * hops * latency;
  if (stage.circuits === "given") return { circuits: { kind: "given" }, linkMtu };
  const circuits: CircuitPlan = {
    kind: "built",
    isSealed: stage.circuits === "sealed",
    hops,
    limits: { ...CIRCUIT_LIMITS, lifetime: 1000 * circuitLifetime, answer },
    ...(from !== undefined && { firstClient: from }),
  };
  return { circuits, linkMtu };
}

/**
 * The settings of every member's packet thread.
 *
 * @param cpu the processor that the threads share while traffic is light; `undefined` for any
 */
export function threadSettings(settings: Settings, cpu: number | undefined): ThreadSettings {
  const { noPacketLog, latency, pcap } = settings;
  return {
    logsPackets: !noPacketLog,
    latency,
    ...(cpu !== undefined && { cpu }),
    ...(pcap !== undefined && { captures: pcap }),
  };
}

/** The routers of a network with their numbers, from 1. */
export function numbered({ routers }: Network): OtherRouter[] {
  return routers.map(({ link }, index) => ({ number: index + 1, link }));
}

/** The settings of one router that carries packets. */
export function trafficSettings(
  network: Network,
  number: number,
  exit: ExitSettings,
  thread: ThreadSettings,
): TrafficSettings {
  const { circuits, proxy } = network;
  const { address, mtu, limits } = routerConfig(network, number);
  return {
    ...(address !== undefined && { address }),
    proxy,
    routers: numbered(network).filter((router) => router.number !== number),
    circuits: circuits.kind === "given" ? "direct" : circuits.isSealed ? "sealed" : "plain",
    mtu,
    limits: { circuits: limits.circuits, idle: limits.idle },
    exit,
    ...thread,
  };
}

/**
 * The settings of one router's exit.
 *
 * @param exits the exits of all routers, in order; empty if routers answer by themselves
 */
export function exitSettings(block: Cidr, exits: readonly ExitInterface[], number: number): ExitSettings {
  const exit = exits[number - 1];
  if (exit === undefined) return { kind: "echo", block };
  const { address, mtu, device, mark } = exit;
  // Routers that leave by one address must not use the same identifiers.
  const alike = exits.filter((other) => other.address === address);
  const share = { index: alike.indexOf(exit), of: alike.length };
  return { kind: "raw-icmp", address, device, mtu, ...(mark !== 0 && { mark }), hop: hopOf(block), share };
}
