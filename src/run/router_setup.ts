/**
 * From what the proxy tells a router to what the router's packet thread and its exit need.
 *
 * @module
 */
import type { OtherRouter, TrafficSettings } from "../control/messages.ts";
import { IcmpType } from "../ip/icmp.ts";
import type { RouterNodeConfig } from "../runtime/node.ts";
import type { ThreadOptions } from "../runtime/packet_thread.ts";
import type { RawIcmpBinding } from "../sys/raw_icmp.ts";
import { VERSION } from "./self.ts";

/** The ICMP types that a raw ICMP exit takes in from the world. */
const WORLD_TYPES = [
  IcmpType.echoReply,
  IcmpType.destinationUnreachable,
  IcmpType.timeExceeded,
  IcmpType.parameterProblem,
];

/** The parts of a router that carries packets. */
export interface RouterSetup {
  /** For the node. */
  readonly node: RouterNodeConfig;
  /** For the packet thread. */
  readonly thread: ThreadOptions;
  /** For the socket of an exit that has one. */
  readonly socket?: RawIcmpBinding;
}

/**
 * Sets up a router.
 *
 * @param number its number, from 1
 * @param port the port of its data link
 */
export function setUpRouter(number: number, port: number, traffic: TrafficSettings): RouterSetup {
  const { address, proxy, routers, circuits, mtu, limits, exit } = traffic;
  const others = routers.map(({ link }) => ({ ...link, isRouter: true }));
  const node: Omit<RouterNodeConfig, "exit"> = {
    number,
    address,
    neighbours: [{ ...proxy, isRouter: false }, ...others],
    given: circuits === "direct" ? [{ neighbour: 0, id: number }] : [],
    begins: circuits === "direct" ? "none" : circuits,
    mtu,
    limits,
  };
  const self = { number, link: { ...proxy, port } };
  const thread = threadOptions(traffic, self, [{ number: 0, link: proxy }, ...routers]);
  if (exit.kind === "echo") return { node: { ...node, exit }, thread };
  const { device, mark = 0, ...rawIcmp } = exit;
  return {
    node: { ...node, exit: rawIcmp },
    thread,
    socket: { address: exit.address, device, mark, types: WORLD_TYPES },
  };
}

/** A member of a network: its number, 0 for the proxy, and its data link. */
type Member = OtherRouter;

/** The part of the settings that packet threads of the proxy and the routers share. */
export type ThreadSettings = Pick<TrafficSettings, "logsPackets" | "latency" | "cpu" | "captures">;

/**
 * How a member's packet thread goes about it.
 *
 * @param neighbours in the order of the link's neighbours
 */
export function threadOptions(
  { logsPackets, latency, cpu, captures: directory }: ThreadSettings,
  self: Member,
  neighbours: readonly Member[],
): ThreadOptions {
  const logs = logsPackets ? "lines" : "circuits";
  const options: ThreadOptions = { logs, latency, ...(cpu !== undefined && { cpu }) };
  if (directory === undefined) return options;
  const party = ({ number, link: { port } }: Member) => ({ party: number, port });
  const application = `onion ${VERSION}`;
  return {
    ...options,
    taps: { directory, application, self: party(self), neighbours: neighbours.map(party) },
  };
}
