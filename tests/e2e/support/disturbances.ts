/**
 * What may happen to a host while a run of stage 3 is up, by eth1 of a rig with two more cards than
 * eth0. A catalogue of kinds, each with random details.
 *
 * @module
 */
import type { Random } from "../../support/random.ts";
import type { Rig } from "./rig.ts";

/** A change to the host, and how it ends. */
export interface Disturbance {
  readonly what: string;
  /** Makes the change. */
  readonly happens: (rig: Rig) => Promise<unknown>;
  /** Makes it undone, unless the run repairs everything itself. */
  readonly ends?: (rig: Rig) => Promise<unknown>;
  /**
   * A word of the sentence on stderr, where captured packets cannot pass before it ends. Any new
   * line will do by default.
   */
  readonly about?: string;
}

/** A kind of disturbance. */
type Kind = (random: Random) => Disturbance;

/** One of these kinds, at random. */
export function draw(random: Random): Disturbance {
  return random.pick(KINDS)(random);
}

/** One of each kind, in random order. */
export function drawAll(random: Random): Disturbance[] {
  return random.shuffle(KINDS).map((kind) => kind(random));
}

/** Shell commands in the VM. */
function vm(...commands: string[]) {
  return (rig: Rig) => rig.sh(...commands);
}

/** Shell commands at the other end of the VM's cables. */
function nat(...commands: string[]) {
  return (rig: Rig) => rig.on("nat", ...commands);
}

const DEFAULT_0 = "ip route replace default via 10.0.2.2";
const DEFAULT_1 = "ip route replace default via 192.168.201.1 dev eth1 metric 201";
const DEFAULT_2 = "ip route replace default via 192.168.202.1 dev eth2 metric 202";

const LINKS: Kind[] = [
  () => ({
    what: "the TUN interface flaps",
    happens: vm("ip link set tun1 down; ip link set tun1 up"),
  }),
  () => ({
    what: "the TUN interface is down for a while",
    happens: vm("ip link set tun1 down"),
    ends: vm("ip link set tun1 up"),
    about: "tun1",
  }),
  () => ({
    what: "the exit's card is down for a while",
    happens: vm("ip link set eth1 down"),
    ends: vm("ip link set eth1 up", DEFAULT_1),
    about: "eth1",
  }),
  () => ({
    what: "the captured card is down for a while",
    happens: vm("ip link set eth0 down"),
    ends: vm("ip link set eth0 up", DEFAULT_0),
  }),
  () => ({
    what: "the exit's card loses its carrier",
    happens: nat("ip link set eth1 down"),
    ends: nat("ip link set eth1 up"),
    about: "eth1",
  }),
  () => ({
    what: "the captured card loses its carrier",
    happens: nat("ip link set eth0 down"),
    ends: nat("ip link set eth0 up"),
  }),
  (random) => {
    const card = random.pick(["eth0", "eth1", "eth2", "tun1"]);
    const mtu = 1200 + random.below(300);
    return {
      what: `the MTU of ${card} is ${mtu} for a while`,
      happens: vm(`ip link set ${card} mtu ${mtu}`),
      ends: vm(`ip link set ${card} mtu 1500`),
    };
  },
  (random) => {
    const card = random.pick(["eth0", "eth1", "tun1"]);
    return {
      what: `${card} has another name besides its own`,
      happens: vm(`ip link property add dev ${card} altname another${card}`),
      ends: vm(`ip link property del dev ${card} altname another${card}`),
    };
  },
  (random) => {
    const card = random.pick(["eth0", "eth1"]);
    return {
      what: `${card} is renamed`,
      happens: vm(`ip link set ${card} name lan9`),
      ends: vm(`ip link set lan9 name ${card}`),
    };
  },
  () => ({
    what: "the exit's card is unplugged and plugged in again",
    happens: vm("ip link delete eth1"),
    ends: (rig) => rig.replug(1),
    about: "eth1",
  }),
  () => ({
    what: "a card that nobody uses is unplugged and plugged in again",
    happens: vm("ip link delete eth2"),
    ends: (rig) => rig.replug(2),
  }),
  (random) => ({
    what: "another card comes and goes",
    happens: vm(
      "ip link add dummy9 type veth peer name dummy8",
      `ip address add 10.9.${random.below(250)}.1/24 dev dummy9`,
      "ip link set dummy9 up",
    ),
    ends: vm("ip link delete dummy9"),
  }),
];

const ADDRESSES: Kind[] = [
  (random) => {
    const [card, block] = random.pick([["eth0", "10.0.2.66/24"], ["eth1", "192.168.201.66/24"], [
      "lo",
      "10.0.2.15/32",
    ]]);
    return {
      what: `${card} has the address ${block} too`,
      happens: vm(`ip address add ${block} dev ${card}`),
      ends: vm(`ip address delete ${block} dev ${card}`),
    };
  },
  () => ({
    what: "the TUN interface loses its address",
    happens: vm("ip address flush dev tun1"),
  }),
  () => ({
    what: "the exit's address is gone for a while",
    happens: vm("ip address delete 192.168.201.2/24 dev eth1"),
    ends: vm("ip address add 192.168.201.2/24 dev eth1", DEFAULT_1),
  }),
  () => ({
    what: "the lifetime of the exit's address ends",
    happens: vm(
      "ip address change 192.168.201.2/24 dev eth1 valid_lft 1 preferred_lft 1",
      "while ip address show eth1 | grep -q 'inet '; do sleep 0.05; done",
    ),
    ends: vm("ip address add 192.168.201.2/24 dev eth1", DEFAULT_1),
  }),
  () => ({
    what: "the exit's card has another address for a while",
    happens: vm(
      "ip address delete 192.168.201.2/24 dev eth1",
      "ip address add 192.168.201.9/24 dev eth1",
      DEFAULT_1,
    ),
    ends: vm(
      "ip address delete 192.168.201.9/24 dev eth1",
      "ip address add 192.168.201.2/24 dev eth1",
      DEFAULT_1,
    ),
  }),
];

const RULES: Kind[] = [
  () => ({
    what: "the rule of the local table moves",
    happens: vm("ip rule add table local priority 100; ip rule delete priority 0"),
    ends: vm("ip rule add table local priority 0; ip rule delete priority 100"),
  }),
];

const ROUTES: Kind[] = [
  () => ({
    what: "a route of a captured block is deleted",
    happens: vm("ip route delete 128.0.0.0/8 dev tun1 table 9"),
  }),
  () => ({ what: "the exit's table is flushed", happens: vm("ip route flush table 901") }),
  () => ({
    what: "the exit's default route is withdrawn for a while",
    happens: vm("ip route delete default dev eth1"),
    ends: vm(DEFAULT_1),
  }),
  () => ({
    what: "the captured card's default route is withdrawn for a while",
    happens: vm("ip route delete default dev eth0"),
    ends: vm(DEFAULT_0),
  }),
  () => ({
    what: "the default route moves to another card",
    happens: vm("ip route replace default via 192.168.202.1 dev eth2"),
    ends: vm(DEFAULT_0, DEFAULT_2),
  }),
  (random) => {
    const to = random.pick(["128.30.0.0/16", "128.30.2.155", "128.0.0.0/1"]);
    return {
      what: `another VPN's route of ${to} is in the main table`,
      happens: vm(`ip route add ${to} via 192.168.202.1 dev eth2`),
      ends: vm(`ip route delete ${to} via 192.168.202.1 dev eth2`),
    };
  },
  () => ({
    what: "reverse paths are filtered strictly for a while",
    happens: vm("sysctl -qw net.ipv4.conf.all.rp_filter=1"),
    ends: vm("sysctl -qw net.ipv4.conf.all.rp_filter=2"),
  }),
  () => ({
    what: "the VM forwards packets for a while",
    happens: vm("sysctl -qw net.ipv4.ip_forward=1"),
    ends: vm("sysctl -qw net.ipv4.ip_forward=0"),
  }),
  () => ({ what: "the route cache is flushed", happens: vm("ip route flush cache") }),
];

const FIREWALL: Kind[] = [
  () => ({
    what: "another table accepts everything first",
    happens: vm("nft 'table ip other { chain out { type filter hook output priority -400; accept; }; }'"),
    ends: vm("nft delete table ip other"),
  }),
  () => ({
    what: "a firewall masquerades without an interface",
    happens: vm(
      "nft 'table ip other { chain post { type nat hook postrouting priority 100; masquerade; }; }'",
    ),
    ends: vm("nft delete table ip other"),
  }),
  () => ({
    what: "connection tracking is off for what leaves",
    happens: vm("nft 'table ip other { chain out { type filter hook output priority raw; notrack; }; }'"),
    ends: vm("nft delete table ip other"),
  }),
];

const KINDS = [...LINKS, ...ADDRESSES, ...RULES, ...ROUTES, ...FIREWALL];
