/**
 * Exits of all kinds: which source and gateway their packets get, what they leave alone on the
 * host, and what they do when their interface changes during a run.
 *
 * ```
 *   ping ─► tun1 ─► proxy ═ router 1 ─ eth1, 192.168.201.2 ─► gw1, 192.168.201.1
 *                                    └ eth0, in the course ─► gw0, 10.0.2.2
 * ```
 */
import assert from "node:assert/strict";
import { namespaceOf } from "../../src/lab/plan.ts";
import { Capture } from "./support/capture.ts";
import { needing } from "./support/program.ts";
import { errorsOf } from "./support/tools.ts";
import { Address, endWell, Vm, VM_NEEDS } from "./support/vm.ts";

const NEEDS = [...VM_NEEDS, "tcpdump", "sysctl"];

/** A captured ping, from a socket with a bound address. */
const CAPTURED = `-I ${Address.vm} ${Address.csail}`;

/** The VM as the course's students set it up: no card but eth0 has a gateway. */
const COURSE = [
  "for i in 1 2 3 4 5 6; do",
  "  ip route delete default dev eth$i",
  "  ifconfig eth$i 192.168.20$i.2/24 up",
  "done",
  "ip tuntap add dev tun1 mode tun",
  "ifconfig tun1 10.5.51.2/24 up",
  `ip rule add from ${Address.vm} table 9 priority 8`,
  "ip route add table 9 to 18/8 dev tun1",
  "ip route add table 9 to 128/8 dev tun1",
  "iptables -A OUTPUT -p tcp --tcp-flags RST RST -j DROP",
];

/** What VirtualBox's NAT does: it sends the answers to where the packets came from. */
const VIRTUALBOX = [1, 2, 3, 4, 5, 6].map((i) => `ip route add 192.168.20${i}.0/24 via ${Address.vm}`);

/** The course's config files, and the lines that a ping leaves in the routers' logs. */
const STAGES: readonly [config: string, lines: RegExp][] = [
  ["stage 3\nnum_routers 1\n", /^ICMP from raw sock, src: 128\.30\.2\.155, dst: 192\.168\.201\.2, type: 0$/m],
  ["stage 4\nnum_routers 4\n", /^ICMP from raw sock, src: 128\.30\.2\.155, dst: 192\.168\.204\.2, type: 0$/m],
  ["stage 5\nnum_routers 4\nminitor_hops 2\n", /^incoming packet, src: 128\.30\.2\.155, dst: 192\.168\.20/m],
  ["stage 6\nnum_routers 4\nminitor_hops 3\n", /^incoming packet, src: 128\.30\.2\.155, dst: 192\.168\.20/m],
];

Deno.test({
  ...needing("exits: stages 3 to 6 run on the course's own VM, typed as in the course", ...[
    ...NEEDS,
    "ifconfig",
    "iptables",
  ]),
  fn: async (t) => {
    await using vm = await Vm.up();
    await vm.sh(...COURSE);
    for (const command of VIRTUALBOX) assert.equal((await vm.at("gw0", command)).code, 0);
    const before = await vm.state();
    for (const [config, lines] of STAGES) {
      await t.step(config.split("\n", 1)[0]!, async () => {
        const place = { party: "gw0", interface: "vm", answers: Address.vm, filter: "icmp" };
        await using outside = await Capture.start(vm.lab, place);
        await using onion = await vm.configured(config);
        await onion.ready();
        await vm.pings(4, `-i 0.05 ${CAPTURED}`);
        const packets = await outside.packets();
        assert.ok(packets.length >= 8, packets.join("\n"));
        for (const line of packets) assert.match(line, /192\.168\.20[1-6]\.2/);
        await endWell(onion);
        const logs = [...Deno.readDirSync(onion.directory)].filter(({ name }) => /router\d\.out$/.test(name));
        assert.match(logs.flatMap(({ name }) => onion.log(name)).join("\n"), lines);
        assert.deepEqual(await vm.state(), before);
      });
    }
  },
});

/** Hosts whose exit is special, and the card that packets leave by. */
const HOSTS: Readonly<Record<string, readonly [card: number, exit: string, ...commands: string[]]>> = {
  "an address on the loopback": [
    0,
    "10.255.0.9",
    "for i in 1 2 3 4 5 6; do ip link delete eth$i; done",
    "ip address flush dev eth0",
    "sysctl -qw net.ipv4.conf.all.rp_filter=0",
    "ip address add 10.255.0.9/32 dev lo",
    `ip route add ${Address.gw0} dev eth0`,
    `ip route add default via ${Address.gw0} dev eth0 src 10.255.0.9`,
  ],
  "a gateway with an IPv6 address": [
    1,
    Address.exit,
    "sysctl -qw net.ipv6.conf.eth1.disable_ipv6=0",
    "ip route delete default dev eth1",
    "ip -4 route add 0.0.0.0/0 via inet6 fe80::1 dev eth1 metric 9",
  ],
  "a route that prescribes another source": [
    1,
    "192.168.201.9",
    "ip address add 192.168.201.9/24 dev eth1",
    `ip route replace default via ${Address.gw1} dev eth1 src 192.168.201.9 metric 101`,
  ],
};

Deno.test({
  ...needing("exits: packets leave with the source and by the gateway that the host would choose", ...NEEDS),
  fn: async (t) => {
    for (const [name, [card, exit, ...commands]] of Object.entries(HOSTS)) {
      await t.step(name, async () => {
        await using vm = await Vm.up();
        await vm.sh(...commands);
        await vm.at("gw0", "ip route add 10.255.0.9 dev vm");
        await vm.at("gw1", "sysctl -qw net.ipv6.conf.vm.disable_ipv6=0");
        await vm.at("gw1", "ip address add fe80::1/64 dev vm nodad");
        await using onion = await vm.stage3();
        const place = { party: `gw${card}`, interface: "vm", answers: exit, filter: "icmp" };
        await using outside = await Capture.start(vm.lab, place);
        await vm.pings(3, `-i 0.05 ${Address.csail}`);
        for (const line of await outside.packets()) assert.ok(line.includes(exit), line);
        await endWell(onion);
      });
    }
  },
});

Deno.test({
  ...needing("exits: the host's own connections by an exit's card go on during a run", ...NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    // A container behind a bridge, which talks to the exit's address.
    const box = namespaceOf("box");
    const { machine } = vm.lab;
    await machine.run(["ip", "netns", "add", box]);
    await machine.run(["ip", "link", "add", "box0", "netns", namespaceOf("vm"), "type", "veth"].concat(
      ["peer", "name", "eth0", "netns", box],
    ));
    await vm.sh(
      "ip link add br0 type bridge",
      "ip address add 172.17.0.1/16 dev br0",
      "ip link set box0 master br0 up",
      "ip link set br0 up",
      // As with a VRF.
      "ip rule add priority 100 lookup local",
      "ip rule delete priority 0",
    );
    const inBox = (command: string) => machine.run(["ip", "netns", "exec", box, ...command.split(" ")]);
    for (
      const command of [
        "ip address add 172.17.0.5/16 dev eth0",
        "ip link set eth0 up",
        "ip route add default via 172.17.0.1",
      ]
    ) assert.equal((await inBox(command)).code, 0);
    const own = async () => {
      const there = await inBox(`ping -n -c 2 -i 0.05 -w 5 ${Address.exit}`);
      assert.equal(there.code, 0, there.stdout + there.stderr);
      await vm.pings(2, `-i 0.05 -I ${Address.exit} ${Address.exit}`);
      // A socket that is bound to another card than the captured one goes by its card.
      await vm.pings(2, `-i 0.05 -I eth1 ${Address.csail}`);
      assert.doesNotMatch(await vm.sh(`ip route get 192.168.201.50 from ${Address.exit}`), / via /);
    };
    await own();
    await using onion = await vm.stage3();
    await own();
    await vm.pings(2, `-i 0.05 ${CAPTURED}`);
    await endWell(onion);
    await machine.run(["ip", "netns", "delete", box]);
  },
});

Deno.test({
  ...needing("exits: the pinger hears what the kernel says of an exit", ...NEEDS),
  fn: async (t) => {
    await using vm = await Vm.up();
    await using _onion = await vm.stage3();
    await t.step("its gateway does not answer", async () => {
      await vm.at("gw1", "ip link set vm arp off");
      await vm.sh("ip neighbour flush dev eth1");
      const said = await vm.run(`ping -n -c 1 -W 8 ${CAPTURED}`);
      assert.deepEqual(errorsOf(said), ["10.5.51.1 icmp_seq=1 Destination Host Unreachable"]);
      await vm.at("gw1", "ip link set vm arp on");
      await vm.pings(2, `-i 0.05 ${CAPTURED}`);
    });
    await t.step("it is down, and nothing leaves by another card", async () => {
      const place = { party: "gw0", interface: "vm", answers: Address.vm, filter: "net 128.0.0.0/8" };
      await using outside = await Capture.start(vm.lab, place);
      await vm.sh("ip link set eth1 down");
      const said = await vm.ping(`-c 1 ${CAPTURED}`);
      assert.deepEqual(errorsOf(said), ["10.5.51.1 icmp_seq=1 Destination Net Unreachable"]);
      assert.deepEqual(await outside.packets(), []);
    });
  },
});

/** Plugs a card in again: same name, address and gateway, another index. */
async function plugIn(vm: Vm, gateway: string = Address.gw1): Promise<void> {
  const ends = ["type", "veth", "peer", "name", "vm", "netns", namespaceOf("gw1")];
  await vm.lab.machine.run(["ip", "link", "add", "eth1", "netns", namespaceOf("vm"), ...ends]);
  await vm.at("gw1", `ip address add ${gateway}/24 dev vm`);
  await vm.at("gw1", "ip link set vm up");
  await vm.sh(
    `ip address add ${Address.exit}/24 dev eth1`,
    "ip link set eth1 up",
    `ip route add default via ${gateway} dev eth1 metric 101`,
  );
}

Deno.test({
  ...needing("exits: a run goes on when an exit's card is unplugged and plugged in again", ...NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    await using onion = await vm.stage3();
    await vm.pings(2, `-i 0.05 ${CAPTURED}`);
    await vm.sh("ip link delete eth1");
    await onion.stderr.find(/eth1 is gone/);
    await plugIn(vm);
    await onion.stderr.find(/eth1 is up again[^]*put back: .*default route of eth1/);
    await vm.pings(3, `-i 0.05 ${CAPTURED}`);
    assert.equal((await onion.end()).code, 0);
  },
});

Deno.test({
  ...needing("exits: a run follows a gateway that is replaced, and removes its route at the end", ...NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    await using onion = await vm.stage3();
    const other = "192.168.201.254";
    for (const command of [`add ${other}/24`, `delete ${Address.gw1}/24`, `replace ${other}/24`]) {
      assert.equal((await vm.at("gw1", `ip address ${command} dev vm`)).code, 0);
    }
    await vm.sh(`ip route replace default via ${other} dev eth1 metric 101`, "ip neighbour flush dev eth1");
    await onion.stderr.find(/put back: default route of eth1 in table 901, now via 192\.168\.201\.254\n/);
    await vm.pings(3, `-i 0.05 ${CAPTURED}`);
    assert.equal((await onion.end()).code, 0);
    assert.doesNotMatch((await vm.state()).routes, /table 901/);
  },
});

Deno.test({
  ...needing("exits: a cable that is unplugged is told, and a router's packets never loop", ...NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    // One card, whose address is the captured one.
    await using onion = await vm.stage3("--exit eth0");
    await vm.at("gw0", "ip link set vm down");
    await onion.stderr.find(/warning: eth0 is unplugged: until it is up again, nothing leaves by it\n/);
    await vm.at("gw0", "ip link set vm up");
    await onion.stderr.find(/info: eth0 is up again\n/);
    await vm.pings(2, `-i 0.05 ${CAPTURED}`);
    await vm.sh("ip rule delete fwmark 0x6f6e0385");
    const sent = await vm.ping(`-c 1 -W 0.3 ${CAPTURED}`);
    assert.doesNotMatch(sent.stdout, /Time to live exceeded/);
    assert.equal((await onion.end()).code, 0);
    const log = onion.log("stage3.proxy.out").filter((line) => line.startsWith("ICMP from tunnel"));
    assert.equal(log.length, 3, log.join("\n"));
  },
});
