/**
 * Turns the network as data into the commands that make it. Pure: it runs nothing.
 *
 * @module
 */
import type { End, Link, Party, Topology } from "./topology.ts";

/** The steps that make a network, in this order. */
interface Plan {
  /** Namespaces to make. */
  readonly namespaces: readonly string[];
  /** Lines for `ip -batch` that make the links in place, so that none ever appears on the host. */
  readonly links: readonly string[];
  /** Set-up inside each namespace; they are independent. */
  readonly insides: readonly Inside[];
}

/** Set-up inside one namespace. */
export interface Inside {
  readonly namespace: string;
  /** Values for files under `/proc/sys/net`. A `*` in a name stands for every interface. */
  readonly sysctls: readonly (readonly [file: string, value: number])[];
  /** Lines for `ip -batch`. */
  readonly ip: readonly string[];
  /** A ruleset for `nft -f`; may be empty. */
  readonly nft: string;
}

/**
 * First interface indices of the two ends of links. The two ends must differ. With equal indices,
 * which the kernel would choose in new namespaces, the kernel takes up to a second to notice that a
 * link is up, and drops packets meanwhile (`linkwatch_urgent_event` in net/core/link_watch.c).
 */
const FIRST_INDEX = { one: 11, other: 111 } as const;

/** The namespace of a party. */
export function namespaceOf(party: string): string {
  return `onion-${party}`;
}

/** The plan that makes this network. */
export function plan({ parties, links }: Topology): Plan {
  return {
    namespaces: parties.map(({ name }) => namespaceOf(name)),
    links: links.map(({ ends: [one, other] }, number) =>
      `link add ${device(one)} index ${FIRST_INDEX.one + number} ` +
      `type veth peer ${device(other)} index ${FIRST_INDEX.other + number}`
    ),
    insides: parties.map((party) => ({
      namespace: namespaceOf(party.name),
      sysctls: sysctls(party),
      ip: [...addresses(party, links), ...routes(party)],
      nft: ruleset(party),
    })),
  };
}

/** The hosts file of the network. */
export function hostsFile({ names }: Topology, hostname: string): string {
  const all = [["127.0.0.1", "localhost"], ["127.0.1.1", hostname], ...names];
  return all.map(([address, name]) => `${address}\t${name}\n`).join("");
}

// The word `name` is needed, because ip reads a lone `a` as `address`.
function device({ party, interface: name }: End): string {
  return `name ${name} netns ${namespaceOf(party)}`;
}

function sysctls({ role }: Party): Inside["sysctls"] {
  const forwards = role === "gateway" || role === "router";
  return [
    // Keeps router and neighbour solicitations out of captures.
    ["ipv6/conf/*/disable_ipv6", 1],
    ["ipv4/ip_forward", forwards ? 1 : 0],
    // Loose in the VM, as systemd sets it; elsewhere a path may be asymmetric.
    ["ipv4/conf/*/rp_filter", role === "vm" ? 2 : 0],
    // All but the VM send ICMP errors without a limit, so that only faults lose packets.
    ...role === "vm" ? [] : [["ipv4/icmp_ratemask", 0] as const],
    // Makes traceroute show the incoming side of a router, as on the Internet.
    ...forwards ? [["ipv4/icmp_errors_use_inbound_ifaddr", 1] as const] : [],
  ];
}

function addresses({ name, owns = [] }: Party, links: readonly Link[]): string[] {
  const ends = links.flatMap(({ ends, mtu }) => ends.map((end) => ({ ...end, mtu })));
  return [
    "link set dev lo up",
    ...owns.map((block) =>
      block.includes("/") ? `route add local ${block} dev lo` : `address add ${block}/32 dev lo`
    ),
    ...ends.filter(({ party }) => party === name).flatMap((end) => [
      `address add ${end.address} dev ${end.interface}`,
      `link set dev ${end.interface} mtu ${end.mtu} up`,
    ]),
  ];
}

function routes({ routes }: Party): string[] {
  return routes.map(({ to, by, metric = 0 }) => {
    const route = typeof by === "string" ? `${by} ${to}` : `${to} via ${by.gateway}`;
    return `route add ${route}${metric === 0 ? "" : ` metric ${metric}`}`;
  });
}

function ruleset({ role, swallows = [], dead = false }: Party): string {
  const drops = swallows.map((match) => `${match} drop`);
  const chains = [
    role === "gateway" &&
    chain("leaving", "nat hook postrouting priority srcnat", ['oifname "net1" masquerade']),
    drops.length > 0 && chain("passing", "filter hook forward priority filter", drops),
    dead && chain("arriving", "filter hook prerouting priority raw", ["drop"]),
  ].filter((each) => each !== false);
  return chains.length === 0 ? "" : `table ip onion {\n${chains.join("")}}\n`;
}

function chain(name: string, hook: string, rules: readonly string[]): string {
  const lines = [`type ${hook}; policy accept;`, ...rules].map((line) => `    ${line}\n`);
  return `  chain ${name} {\n${lines.join("")}  }\n`;
}
