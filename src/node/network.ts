/**
 * Derives the configurations of a proxy and its routers from one description, so that they agree.
 *
 * @module
 */
import type { RouterDescription } from "../circuit/origin/builder.ts";
import { longestPacket } from "../circuit/kind.ts";
import { HOP_LIMITS } from "../circuit/relay/hop_table.ts";
import type { ProtocolName } from "../ip/ipv4.ts";
import type { Endpoint, IpAddress } from "../ip/address.ts";
import type { CircuitPlan, ProxyConfig } from "./proxy.ts";
import type { RouterConfig } from "./router.ts";

/** A router of a network. */
interface NetworkRouter extends RouterDescription {
  /** Its address in the world; undefined if its packets stay inside. */
  readonly address: IpAddress | undefined;
}

/** A proxy and its routers. */
export interface Network {
  /** The circuits of the proxy. */
  readonly circuits: CircuitPlan;
  /** The protocols that packets may have. */
  readonly carries: readonly ProtocolName[];
  /** Length in bytes of the longest IP packet that the links carry. */
  readonly linkMtu: number;
  /** Length in bytes of the longest packet that the TUN interface takes. */
  readonly tunMtu: number;
  /** The proxy's data link. */
  readonly proxy: Endpoint;
  /** The routers, in the order of their numbers, from 1. */
  readonly routers: readonly NetworkRouter[];
}

/** Time in ms that a router keeps a circuit beyond its lifetime. */
const FORGOTTEN_AFTER = 60_000;

/** Length in bytes of the longest packet that the network carries unfragmented. */
export function longestOf({ circuits, linkMtu }: Pick<Network, "circuits" | "linkMtu">): number {
  return longestPacket(linkMtu, circuits.kind, circuits.hops);
}

/** The configuration of the proxy. The neighbours of its link are the routers, in order. */
export function proxyConfig(network: Network, refuseAs?: IpAddress): ProxyConfig {
  const { circuits, carries, routers, linkMtu } = network;
  return {
    routers,
    circuits,
    carries,
    linkMtu,
    ...(refuseAs !== undefined && { refuseAs }),
  };
}

/**
 * The configuration of a router. The neighbours of its link are the proxy and then the other
 * routers, in order.
 */
export function routerConfig(network: Network, number: number): RouterConfig {
  const { circuits, carries, proxy, routers, tunMtu } = network;
  const others = routers.filter((_, index) => index + 1 !== number);
  return {
    number,
    address: routers[number - 1]!.address,
    neighbours: [
      { ...proxy, isRouter: false },
      ...others.map(({ link: { address, port } }) => ({ address, port, isRouter: true })),
    ],
    circuits: circuits.kind,
    carries,
    mtu: Math.min(tunMtu, longestOf(network)),
    limits: { ...HOP_LIMITS, idle: circuits.limits.lifetime + FORGOTTEN_AFTER },
  };
}
