/**
 * What the members of one network have to agree on: who is whose neighbour, and by which circuits packets go.
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
export interface NetworkRouter extends RouterDescription {
  /** The address that it leaves by; undefined where it stays inside. */
  readonly address: IpAddress | undefined;
}

/** A network: a proxy and its routers. */
export interface Network {
  /** By which circuits packets go. */
  readonly circuits: CircuitPlan;
  /** The protocols that packets may have. */
  readonly carries: readonly ProtocolName[];
  /** Bytes of the longest IP packet that the links between the members take. */
  readonly linkMtu: number;
  /** Bytes of the longest packet that the TUN interface takes. */
  readonly tunMtu: number;
  /** Where the proxy's data link is. */
  readonly proxy: Endpoint;
  /** In the order of their numbers, which count from 1. */
  readonly routers: readonly NetworkRouter[];
}

/** Milliseconds beyond a circuit's lifetime in which its routers still know it. */
const FORGOTTEN_AFTER = 60_000;

/** Bytes of the longest packet that the network carries in one piece. */
export function longestOf({ circuits, linkMtu }: Pick<Network, "circuits" | "linkMtu">): number {
  return longestPacket(linkMtu, circuits.kind, circuits.hops);
}

/** What the proxy is to know. Its link's neighbours are the routers, in order. */
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

/** What a router is to know. Its link's neighbours are the proxy and then the other routers, in order. */
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
