/**
 * Derives the network and the settings of each router from the settings of a run.
 *
 * @module
 */
import { CIRCUIT_LIMITS } from "../circuit/origin/pool.ts";
import type { Settings } from "../config/settings.ts";
import type { OtherRouter, TrafficSettings } from "../control/messages.ts";
import type { ExitSettings } from "../exit/registry.ts";
import { type Network, routerConfig } from "../node/network.ts";
import type { IpAddress } from "../ip/address.ts";
import type { ThreadSettings } from "./router_setup.ts";

/**
 * The circuits and the link MTU of a run's network.
 *
 * @param from the address whose packets are captured; its circuit is built at once
 */
export function networkOf(
  settings: Settings,
  from: IpAddress | undefined,
): Pick<Network, "circuits" | "carries" | "linkMtu"> {
  const { stage, hops, circuitLifetime, linkMtu, latency } = settings;
  const { carries } = stage;
  // An answer is delayed twice on each link of the path.
  const answer = CIRCUIT_LIMITS.answer + 2 * hops * latency;
  const circuits = {
    kind: stage.circuits,
    hops,
    limits: { ...CIRCUIT_LIMITS, lifetime: 1000 * circuitLifetime, answer },
    ...(from !== undefined && { firstClient: from }),
  };
  return { circuits, carries, linkMtu };
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
  const { circuits, carries, proxy } = network;
  const { address, mtu, limits } = routerConfig(network, number);
  return {
    ...(address !== undefined && { address }),
    proxy,
    routers: numbered(network).filter((router) => router.number !== number),
    circuits: circuits.kind,
    carries,
    mtu,
    limits: { circuits: limits.circuits, idle: limits.idle },
    exit,
    ...thread,
  };
}
