/**
 * From the settings of a run to what each member of its network is told.
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
 * What settings say about the network between the members.
 *
 * @param from whose packets are captured: whose circuit is built at once
 */
export function networkOf(
  settings: Settings,
  from: IpAddress | undefined,
): Pick<Network, "circuits" | "linkMtu"> {
  const { stage, hops, circuitLifetime, linkMtu, latency } = settings;
  // There and back over each link of the path.
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
 * What the settings say about every member's packet thread.
 *
 * @param cpu the processor that the threads share while there is little to do; any if `undefined`
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

/** The routers of a network with their numbers, which count from 1. */
export function numbered({ routers }: Network): OtherRouter[] {
  return routers.map(({ link }, index) => ({ number: index + 1, link }));
}

/** What a router is told to carry packets. */
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
 * How a router's packets leave.
 *
 * @param exits of all routers, in order; none where an echo exit answers
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
