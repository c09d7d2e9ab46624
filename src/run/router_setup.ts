/**
 * Turns the settings from the proxy into what a router's packet thread needs.
 *
 * @module
 */
import type { OtherRouter, TrafficSettings } from "../control/messages.ts";
import type { RouterConfig } from "../node/router.ts";
import type { ThreadOptions } from "../runtime/packet_thread.ts";
import { VERSION } from "./self.ts";

/** What a router needs to carry packets. */
interface RouterSetup {
  /** The configuration of its node. */
  readonly node: RouterConfig;
  /** The options of its packet thread. */
  readonly thread: ThreadOptions;
}

/**
 * Derives the parts of a router from its settings.
 *
 * @param number its number, from 1
 * @param port the port of its data link
 */
export function setUpRouter(number: number, port: number, traffic: TrafficSettings): RouterSetup {
  const { address, proxy, routers, circuits, carries, mtu, limits } = traffic;
  const others = routers.map(({ link }) => ({ ...link, isRouter: true }));
  const node: RouterConfig = {
    number,
    address,
    neighbours: [{ ...proxy, isRouter: false }, ...others],
    circuits,
    carries,
    mtu,
    limits,
  };
  const self = { number, link: { ...proxy, port } };
  return { node, thread: threadOptions(traffic, self, [{ number: 0, link: proxy }, ...routers]) };
}

/** A member of a network: its number, 0 for the proxy, and its data link. */
type Member = OtherRouter;

/** The settings that the packet threads of proxy and routers have in common. */
export type ThreadSettings = Pick<
  TrafficSettings,
  "logsPackets" | "latency" | "cpu" | "captures" | "continues"
>;

/**
 * The options of a member's packet thread.
 *
 * @param neighbours in the order of the link's neighbours
 */
export function threadOptions(
  { logsPackets, latency, cpu, captures: directory, continues = false }: ThreadSettings,
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
    taps: { directory, application, continues, self: party(self), neighbours: neighbours.map(party) },
  };
}
