/**
 * From the settings of a run to what each member of its network is told.
 *
 * @module
 */
import { CIRCUIT_LIMITS } from "../circuit/origin/pool.ts";
import type { Settings } from "../config/settings.ts";
import type { RouterSettings } from "../control/message.ts";
import { KEY } from "../crypto/provider.ts";
import { OperatorError } from "../errors.ts";
import type { ExitInterface } from "../host/plan/exit_interfaces.ts";
import { type CircuitPlan, hopOf, type Network } from "../node/network.ts";
import type { ThreadOptions } from "../runtime/packet_thread.ts";
import type { RouterConfig } from "../node/router.ts";
import type { IpAddress } from "../ip/address.ts";
import type { Cidr } from "../ip/cidr.ts";
import { IcmpType } from "../ip/icmp.ts";
import { VERSION } from "./self.ts";

/** The ICMP types that a raw ICMP exit takes in from the world. */
const WORLD_TYPES = [
  IcmpType.echoReply,
  IcmpType.destinationUnreachable,
  IcmpType.timeExceeded,
  IcmpType.parameterProblem,
];

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

/** A router's static public key, as it says it is. */
export function readKey(hex: string, router: number): Uint8Array<ArrayBuffer> {
  if (new RegExp(`^[0-9a-f]{${2 * KEY}}$`).test(hex)) return Uint8Array.fromHex(hex);
  throw new OperatorError(
    `router ${router} has sent no key`,
    "start again, with --log-level debug to see more",
  );
}

/** How the packet thread of one member of a network goes about it. */
export function threadOptions(
  settings: Settings,
  { proxy, routers }: Network,
  party: number,
  cpu: number | undefined,
): ThreadOptions {
  const { noPacketLog, latency, pcap: directory } = settings;
  const options = { logsPackets: !noPacketLog, latency, ...(cpu !== undefined && { cpu }) };
  if (directory === undefined) return options;
  const members = [proxy, ...routers.map(({ link }) => link)].map(({ port }, party) => ({ party, port }));
  const neighbours = members.filter((member) => member.party !== party);
  return {
    ...options,
    taps: { directory, application: `onion ${VERSION}`, self: members[party]!, neighbours },
  };
}

/** The part of a router's settings that says how packets leave. */
export function exitSettings(
  block: Cidr,
  exits: readonly ExitInterface[],
  number: number,
  node: RouterConfig,
): Pick<NonNullable<RouterSettings["traffic"]>, "node" | "socket"> {
  const exit = exits[number - 1];
  if (exit === undefined) return { node: { ...node, exit: { kind: "echo", block } } };
  const { address, mtu, device, mark } = exit;
  // Who leaves by the same address must not take the same identifiers.
  const alike = exits.filter((other) => other.address === address);
  const share = { index: alike.indexOf(exit), of: alike.length };
  return {
    node: { ...node, exit: { kind: "raw-icmp", address, mtu, hop: hopOf(block), share } },
    socket: { address, device, mark, types: WORLD_TYPES },
  };
}
