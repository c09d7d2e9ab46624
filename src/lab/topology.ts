/**
 * The practice network as data: its parties, links and addresses.
 *
 * ```
 *                                  vm
 *         eth0 │ 10.0.2.15    eth1 │ 192.168.201.2    …    eth6 │ 192.168.206.2
 *              │ 10.0.2.2          │ 192.168.201.1              │ 192.168.206.1
 *             gw0                 gw1                 …        gw6                 each masquerades
 *              │ 198.51.100.2      │ 198.51.100.6               │ 198.51.100.26
 *              └───────────────────┼─────────────────── … ──────┘
 *                                  │ 198.51.100.1, .5, …, .25
 *                                net1
 *                                  │ 203.0.113.1
 *                                  │ 203.0.113.2
 *                                net2 ─ 203.0.113.13 ── 203.0.113.14 ─ mit      18.9.22.69, 203.0.113.80
 *                                  │ 203.0.113.5
 *                                  │ 203.0.113.6
 *                                net3 ─ 203.0.113.9 ─── 203.0.113.10 ─ csail    128.30.2.155, …, 128.30.3.0/24
 *                                  └─── 203.0.113.17 ── 203.0.113.18 ─ small    128.30.4.20, over an MTU of 1280
 * ```
 *
 * Every party is a network namespace. An interface has the name of the party at its other end,
 * except in the VM. No link leads to the machine that the lab runs on.
 *
 * @module
 */
import { MAX_ROUTERS } from "../config/stages.ts";

/** A party: a machine of the practice network. */
export interface Party {
  /** Its namespace is `onion-` and this. */
  readonly name: string;
  /** What it is, for people. */
  readonly is: string;
  readonly role: "vm" | "gateway" | "router" | "host";
  readonly routes: readonly Route[];
  /** Addresses and blocks that it answers for, besides its interfaces. */
  readonly owns?: readonly string[];
  /** Packets that it drops in silence, as matches of nft(8). */
  readonly swallows?: readonly string[];
  /** Whether it drops everything it receives. */
  readonly dead?: boolean;
}

/** A route to a block. */
interface Route {
  /** `default`, an address or a block. */
  readonly to: string;
  /** The route with the lowest metric wins; 0 unless given. */
  readonly metric?: number;
  /** The next hop, or a way to drop: in silence, or with an ICMP error. */
  readonly by: { readonly gateway: string } | "blackhole" | "unreachable" | "prohibit";
}

/** A cable between two parties. */
export interface Link {
  readonly ends: readonly [End, End];
  /** In bytes. */
  readonly mtu: number;
}

/** One end of a link. */
export interface End {
  readonly party: string;
  readonly interface: string;
  /** With its prefix length. */
  readonly address: string;
}

/** A whole network. */
export interface Topology {
  readonly parties: readonly Party[];
  readonly links: readonly Link[];
  /** The hosts file, as pairs of address and name. */
  readonly names: readonly (readonly [address: string, name: string])[];
}

/** Faults that users can switch on. */
export interface Faults {
  /** Percent of packets to the hosts that net2 drops. */
  readonly loss: number;
  /** Whether net3 drops everything. */
  readonly deadRouter: boolean;
  /** Whether the link between net2 and net3 has a small MTU. */
  readonly smallMtu: boolean;
}

/** No faults. */
export const NO_FAULTS: Faults = { loss: 0, deadRouter: false, smallMtu: false };

/** MTUs in bytes. The narrow one is the min of IPv6 (RFC 8200 §5), which real tunnels have. */
const Mtu = { ethernet: 1500, narrow: 1280 } as const;

/** The party that stages run in. */
export const VM = "vm";

/**
 * Numbers of the exit interfaces of the VM, eth1 and so on: one for each router, each with its own
 * gateway.
 */
const EXITS = Array.from({ length: MAX_ROUTERS }, (_, index) => index + 1);

/** The network, with these faults. */
export function topology(faults: Faults): Topology {
  const parties = [vm(), ...[0, ...EXITS].map(gateway), ...routers(faults), ...hosts()];
  return { parties, links: [...[0, ...EXITS].flatMap(uplink), ...core(faults)], names: NAMES };
}

function vm(): Party {
  return {
    name: VM,
    is: "the virtual machine that stages run in",
    role: "vm",
    // By eth0; the others are there to be found, as a DHCP client leaves those of further cards.
    routes: [
      via("default", "10.0.2.2"),
      ...EXITS.map((number) => ({ ...via("default", `192.168.20${number}.1`), metric: 100 + number })),
    ],
  };
}

function gateway(number: number): Party {
  return {
    name: `gw${number}`,
    is: `the NAT gateway behind the VM's eth${number}`,
    role: "gateway",
    routes: [via("default", isp(number).router)],
  };
}

function routers({ loss, deadRouter }: Faults): Party[] {
  return [
    {
      name: "net1",
      is: "the provider of all gateways",
      role: "router",
      // Unused addresses of the provider are unreachable; they are not sent back to net2.
      routes: [via("default", "203.0.113.2"), { to: "198.51.100.0/24", by: "unreachable" }],
    },
    {
      name: "net2",
      is: "the middle of the internet",
      role: "router",
      // No default route: a packet to an unknown address ends here with an ICMP error.
      routes: [
        via("198.51.100.0/24", "203.0.113.1"),
        via("128.30.0.0/16", "203.0.113.6"),
        via("18.0.0.0/8", "203.0.113.14"),
        via("203.0.113.80", "203.0.113.14"),
      ],
      // Only on the way out, so that ping reports the same percentage.
      swallows: loss > 0 ? [`iifname "net1" numgen random mod 10000 < ${Math.round(loss * 100)}`] : [],
    },
    {
      name: "net3",
      is: "the last router before CSAIL",
      role: "router",
      routes: [
        via("default", "203.0.113.5"),
        via("128.30.0.0/16", "203.0.113.10"),
        via("128.30.4.20", "203.0.113.18"),
        { to: "128.30.2.200", by: "blackhole" },
        { to: "128.30.2.201", by: "unreachable" },
        { to: "128.30.2.202", by: "prohibit" },
      ],
      // A path MTU black hole: packets that are too big vanish without an ICMP error.
      swallows: [`ip daddr 128.30.4.21 ip length > ${Mtu.narrow}`],
      dead: deadRouter,
    },
  ];
}

function hosts(): Party[] {
  const inMit = ["18.9.22.69", "18.9.22.169", "203.0.113.80"];
  const singles = ["155", "102", "103", "104"].map((host) => `128.30.2.${host}`);
  const inCsail = [...singles, "128.30.3.0/24", "128.30.4.21"];
  return [
    host("mit", "hosts in 18.0.0.0/8, and one that no capture block holds", "203.0.113.13", inMit),
    host("csail", "hosts in 128.30.0.0/16, 254 of them in 128.30.3.0/24", "203.0.113.9", inCsail),
    host("small", `a host behind a link with an MTU of ${Mtu.narrow}`, "203.0.113.17", ["128.30.4.20"]),
  ];
}

/** A party that answers for these addresses and blocks, behind a gateway. */
function host(name: string, is: string, gateway: string, owns: readonly string[]): Party {
  return { name, is, role: "host", routes: [via("default", gateway)], owns };
}

/** From the VM through a gateway to the provider. */
function uplink(number: number): Link[] {
  const name = `gw${number}`;
  const [inner, outer] = number === 0
    ? ["10.0.2.15/24", "10.0.2.2/24"]
    : [`192.168.20${number}.2/24`, `192.168.20${number}.1/24`];
  const { router, customer } = isp(number);
  return [
    link([VM, `eth${number}`, inner], [name, VM, outer]),
    link([name, "net1", `${customer}/30`], ["net1", name, `${router}/30`]),
  ];
}

/** The two addresses of the provider's line to a gateway, from TEST-NET-2. */
function isp(number: number): { router: string; customer: string } {
  return { router: `198.51.100.${4 * number + 1}`, customer: `198.51.100.${4 * number + 2}` };
}

/** Everything behind the provider, from TEST-NET-3. */
function core({ smallMtu }: Faults): Link[] {
  return [
    link(["net1", "net2", "203.0.113.1/30"], ["net2", "net1", "203.0.113.2/30"]),
    link(
      ["net2", "net3", "203.0.113.5/30"],
      ["net3", "net2", "203.0.113.6/30"],
      smallMtu ? Mtu.narrow : Mtu.ethernet,
    ),
    link(["net2", "mit", "203.0.113.13/30"], ["mit", "net2", "203.0.113.14/30"]),
    link(["net3", "csail", "203.0.113.9/30"], ["csail", "net3", "203.0.113.10/30"]),
    link(["net3", "small", "203.0.113.17/30"], ["small", "net3", "203.0.113.18/30"], Mtu.narrow),
  ];
}

/** Names of hosts, and of the routers that traceroute meets on the way to them. */
const NAMES: Topology["names"] = [
  ["128.30.2.155", "www.csail.mit.edu"],
  ["18.9.22.69", "web.mit.edu"],
  ["18.9.22.169", "www.mit.edu"],
  ["203.0.113.80", "www.example.net"],
  ["128.30.2.102", "host102.csail.mit.edu"],
  ["128.30.2.103", "host103.csail.mit.edu"],
  ["128.30.2.104", "host104.csail.mit.edu"],
  ["128.30.2.200", "dead.lab"],
  ["128.30.2.201", "unreachable.lab"],
  ["128.30.2.202", "prohibited.lab"],
  ["128.30.4.20", "small.lab"],
  ["128.30.4.21", "hole.lab"],
  ["10.0.2.15", "vm.lab"],
  ["10.0.2.2", "gw0.lab"],
  ...EXITS.map((number) => [`192.168.20${number}.1`, `gw${number}.lab`] as const),
  ...[0, ...EXITS].map((number) => [isp(number).router, "net1.lab"] as const),
  ["203.0.113.2", "net2.lab"],
  ["203.0.113.6", "net3.lab"],
];

function via(to: string, gateway: string): Route {
  return { to, by: { gateway } };
}

function link(
  [party, name, address]: readonly [string, string, string],
  [otherParty, otherName, otherAddress]: readonly [string, string, string],
  mtu: number = Mtu.ethernet,
): Link {
  return {
    ends: [
      { party, interface: name, address },
      { party: otherParty, interface: otherName, address: otherAddress },
    ],
    mtu,
  };
}
