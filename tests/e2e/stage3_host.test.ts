/**
 * Stage 3 on all kinds of hosts: what it finds, which options it needs, and what it says if it
 * cannot run.
 */
import assert from "node:assert/strict";
import { Capture, type Place } from "./support/capture.ts";
import { needing, scratchDirectory } from "./support/program.ts";
import { errorsOf, hopsOf, sentBy } from "./support/tools.ts";
import { Address, endWell, Vm, VM_NEEDS } from "./support/vm.ts";

/** A VM, the options of stage 3 there, and the interface by which packets leave. */
interface Host {
  /** Shell commands that set it up. */
  readonly prepare?: readonly string[];
  readonly args?: string;
  /** The number of the exit interface of router 1. */
  readonly card: number;
  /** A check during the run. */
  readonly during?: (vm: Vm) => Promise<unknown>;
}

/** Removes all interfaces of the VM except eth0. */
const ONE_CARD = ["for number in 1 2 3 4 5 6; do ip link delete eth$number; done"];

/** Drops packets that come in by another interface than the one that replies would leave by. */
const STRICT = ["sysctl -qw net.ipv4.conf.all.rp_filter=1"];

const HOSTS: Readonly<Record<string, Host>> = {
  "with eth1 and a strict reverse path filter": { prepare: STRICT, card: 1 },
  "with one interface": { prepare: ONE_CARD, card: 0 },
  "with one interface and a strict reverse path filter": { prepare: [...ONE_CARD, ...STRICT], card: 0 },
  "with --exit eth0, the captured interface": { args: "--exit eth0", card: 0 },
  "with --exit eth3": { args: "--exit eth3", card: 3 },
  "whose eth1 is down and has no address": {
    prepare: ["ip address flush dev eth1", "ip link set eth1 down"],
    args: "--exit eth1@192.168.201.1",
    card: 1,
    during: async (vm) =>
      assert.match(await vm.sh("ip address show eth1"), /,UP.* inet 192\.168\.201\.2\/24 /s),
  },
  "whose gateway of eth1 is in another table": {
    prepare: [
      "ip route delete default dev eth1",
      "ip route add default via 192.168.201.1 dev eth1 table 77",
    ],
    card: 1,
  },
  "whose default route is by eth1": {
    prepare: ["ip route delete default via 10.0.2.2"],
    args: `--from ${Address.vm}`,
    card: 1,
  },
  "whose eth1 has a small MTU": {
    prepare: ["ip link set eth1 mtu 1400"],
    card: 1,
    during: async (vm) => {
      const whole = await vm.ping("-M do -s 1400 -c 1 host102.csail.mit.edu");
      assert.deepEqual(errorsOf(whole), ["10.5.51.1 icmp_seq=1 Frag needed and DF set (mtu = 1400)"]);
      // The other end of the link has the same MTU.
      await vm.at("gw1", "ip link set vm mtu 1400");
      await vm.pings(2, `-M dont -s 1400 -i 0.01 ${Address.mit}`);
    },
  },
  "whose tunnel has another name, address, table and priority": {
    args: "--tun onion0 --address 10.99.0.9/16 --table 50 --priority 500",
    card: 1,
    during: async (vm) => {
      assert.match(await vm.sh("ip rule"), /^500:\tfrom 10\.0\.2\.15 lookup 50\b/m);
      assert.match(await vm.sh("ip route show table 50"), /^18\.0\.0\.0\/8 dev onion0\b/m);
    },
  },
};

Deno.test({
  ...needing(
    "stage 3: works on hosts of all kinds, and leaves each as it was",
    ...VM_NEEDS,
    "tcpdump",
    "traceroute",
    "sysctl",
  ),
  fn: async (t) => {
    for (const [name, { prepare = [], args = "", card, during }] of Object.entries(HOSTS)) {
      await t.step(name, async () => {
        await using vm = await Vm.up();
        const path = await pathOf(vm, card);
        await vm.sh(...prepare);
        const before = await vm.state();
        await using onion = await vm.stage3(args);
        await assertCarries(vm, card, path);
        await during?.(vm);
        await endWell(onion);
        assert.deepEqual(await vm.state(), before);
      });
    }
  },
});

Deno.test({
  ...needing(
    "stage 3: uses rules, routes and a tun1 made by hand, and leaves them as they were",
    ...VM_NEEDS,
    "tcpdump",
    "traceroute",
  ),
  fn: async (t) => {
    await using vm = await Vm.up();
    const path = await pathOf(vm, 1);
    // As in the course material.
    await vm.sh(
      "ip tuntap add dev tun1 mode tun",
      "ip address add 10.5.51.2/24 dev tun1",
      "ip link set tun1 up",
      "ip rule add from 10.0.2.15 table 9 priority 8",
      "ip route add table 9 18/8 dev tun1",
      "ip route add table 9 128/8 dev tun1",
    );
    const before = await vm.state();
    const classic = (state: typeof before) => [
      state.addresses.match(/inet 10\.5\.51\.2\/24 .*$/gm),
      state.rules.match(/^.* from 10\.0\.2\.15 .*$/gm),
      state.routes.match(/^.* dev tun1 table 9 .*$/gm),
    ];

    await t.step("by a run that is asked to end", async () => {
      await using onion = await vm.stage3();
      assert.deepEqual(classic(await vm.state()), classic(before));
      await assertCarries(vm, 1, path);
      await endWell(onion);
      assert.deepEqual(await vm.state(), before);
    });

    await t.step("by a run that is killed", async () => {
      await using onion = await vm.stage3();
      onion.kill("SIGKILL");
      await onion.gone;
      await undo(vm);
      assert.deepEqual(await vm.state(), before);
    });
  },
});

Deno.test({
  ...needing(
    "--print-commands: prints commands that a person can type, and changes nothing",
    ...VM_NEEDS,
    "tcpdump",
    "traceroute",
  ),
  fn: async () => {
    await using vm = await Vm.up();
    const path = await pathOf(vm, 1);
    const fresh = await vm.state();
    const print = async () => {
      await using onion = await vm.onion(["--stage", "3", "--print-commands"]);
      const { code, stdout, stderr } = await onion.ended;
      assert.deepEqual([code, stderr], [0, ""]);
      assert.deepEqual([...Deno.readDirSync(onion.directory)].map(({ name }) => name), ["hold"]);
      return stdout.trimEnd().split("\n");
    };
    const commands = await print();
    assert.deepEqual(commands.slice(0, -2), [
      "ip tuntap add dev tun1 mode tun",
      "ip address add 10.5.51.2/24 dev tun1",
      "ip link set tun1 up",
      "ip rule add from 10.0.2.15 table 9 priority 8",
      "ip route add table 9 18.0.0.0/8 dev tun1",
      "ip route add table 9 128.0.0.0/8 dev tun1",
      "ip route add 18.0.0.0/8 dev lo table 9 metric 4096",
      "ip route add 128.0.0.0/8 dev lo table 9 metric 4096",
      "ip rule add from 0.0.0.0/32 table 900 priority 8",
      "ip route add table 900 18.0.0.0/8 dev tun1 src 10.0.2.15",
      "ip route add table 900 128.0.0.0/8 dev tun1 src 10.0.2.15",
      "ip route add 18.0.0.0/8 dev lo src 10.0.2.15 table 900 metric 4096",
      "ip route add 128.0.0.0/8 dev lo src 10.0.2.15 table 900 metric 4096",
      "ip rule add fwmark 0x6f6e8009 table main priority 7",
      "ip route add 192.168.201.0/24 dev eth1 table 901",
      "ip route add default via 192.168.201.1 dev eth1 table 901",
      "ip route add prohibit 0.0.0.0/0 table 901 metric 4096",
      "ip rule add fwmark 0x6f6e0385 table 901 priority 7",
    ]);
    assert.match(commands.at(-2)!, /^nft 'table ip onion_\d+ \{ .* \}'$/);
    assert.equal(commands.at(-1), "sysctl -w net.ipv4.ipfrag_max_dist=65536");
    assert.deepEqual(await vm.state(), fresh);

    await vm.sh(...commands);
    const byHand = await vm.state();
    // A run needs only its own firewall table then.
    assert.match((await print()).join("\n"), /^nft 'table ip onion_\d+ \{ .* \}'$/);
    await using onion = await vm.stage3();
    const { firewall: _, journals: __, processes: ___, ...running } = await vm.state();
    const { firewall: _f, journals: _j, processes: _p, ...typed } = byHand;
    assert.deepEqual(running, typed);
    await assertCarries(vm, 1, path);
    await endWell(onion);
    assert.deepEqual(await vm.state(), byHand);
  },
});

/** Hides programs under bind mounts, and becomes the rest of the command line. */
const without = (...programs: string[]) => [
  ...["unshare", "--mount", "sh", "-euc"],
  ...[
    `for name in ${programs.join(" ")}; do mount -n --bind /dev/null "$(command -v $name)"; done; exec "$@"`,
  ],
  "sh",
];

Deno.test({
  ...needing(
    "firewall: iptables does the same without nft",
    ...VM_NEEDS,
    "tcpdump",
    "traceroute",
    "iptables",
    "iptables-save",
    "curl",
  ),
  fn: async () => {
    await using vm = await Vm.up();
    const path = await pathOf(vm, 1);
    // The user's own rules also create the tables and chains, which iptables never removes.
    await vm.sh(
      "iptables -t mangle -A POSTROUTING -d 203.0.113.80 -j MARK --set-mark 7",
      "iptables -t mangle -A OUTPUT -d 203.0.113.80 -j MARK --set-mark 7",
      "iptables -A OUTPUT -d 203.0.113.80 -p tcp --tcp-flags RST RST -j DROP",
    );
    const state = async () => {
      const saved = await vm.sh("iptables-save");
      return { ...await vm.state(), saved: saved.replaceAll(/^#.*$|\[\d+:\d+\]$/gm, "") };
    };
    const before = await state();
    for (const signal of ["SIGINT", "SIGKILL"] as const) {
      await using onion = await vm.onion(["--stage", "3"], { via: without("nft") });
      await onion.ready();
      assert.match(await vm.sh("iptables-save"), /-s 10\.0\.2\.15\/32 -d 128\.0\.0\.0\/8 .*-j MARK/);
      await assertCarries(vm, 1, path);
      const knock = await vm.at("gw1", `curl -s -m 0.5 http://${Address.exit}:9/`);
      assert.equal(knock.code, 28, "no reset");
      if (signal === "SIGINT") await endWell(onion);
      onion.kill("SIGKILL");
      await onion.gone;
      if (signal === "SIGKILL") await undo(vm);
      assert.deepEqual(await state(), before);
    }
  },
});

Deno.test({
  ...needing("firewall: without nft and iptables, stages that capture refuse to start", ...VM_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    const before = await vm.state();
    await using onion = await vm.onion(["--stage", "3"], { via: without("nft", "iptables") });
    const { code, stderr } = await onion.ended;
    const line = "onion: neither nft nor iptables is here: nothing would bar captured packets; " +
      "install nftables, e.g. `apt-get install nftables`\n";
    assert.deepEqual([code, stderr], [4, line]);
    await onion.gone;
    assert.deepEqual(await vm.state(), before);
    await using second = await vm.onion(["--stage", "2"], { via: without("nft", "iptables") });
    await second.ready();
    assert.equal((await second.end()).code, 0);
  },
});

/** A host that lacks some things. */
const POOR = [
  "ip address flush dev eth1",
  "ip route add 128.0.0.0/8 via 10.0.2.2 table 9",
  "ip route add default via 10.0.2.2 table 1001",
];

/** The beginning of errors because the host lacks something. */
const LACKING = "exit eth1 has no gateway";

/** Options, and the error that they cause there. */
const REFUSALS: Readonly<Record<string, string>> = {
  "--table 20": "exit eth1 has no gateway in the routing tables; name it: --exit eth1@GATEWAY",
  "--table 20 --exit eth9": "there is no exit interface eth9; name another with --exit",
  "--from 10.0.2.16": "--from 10.0.2.16 is no address of this host; choose one that `ip address` lists",
  "--exit eth2": "table 9 is in use: it leads 128.0.0.0/8 to eth0; choose another with --table",
  "--table 10 --exit eth2": "table 1001 is in use: it leads 0.0.0.0/0 to eth0; choose another with --table",
  "--table 20 --exit eth2 --tun eth6": 'cannot attach to TUN device "eth6": ioctl failed: EINVAL; ' +
    "an interface of another kind has this name: choose another with --tun",
};

Deno.test({
  ...needing(
    "stage 3: says in one line why it cannot run, and leaves everything as it was",
    ...VM_NEEDS,
  ),
  fn: async (t) => {
    await using vm = await Vm.up();
    await vm.sh(...POOR);
    const before = await vm.state();
    for (const [args, line] of Object.entries(REFUSALS)) {
      await t.step(args, async () => {
        await using onion = await vm.onion(["--stage", "3", ...args.split(" ")]);
        const { code, stdout, stderr } = await onion.ended;
        const expected = line.startsWith(LACKING) ? 4 : 1;
        assert.deepEqual([code, stdout, stderr], [expected, "", `onion: ${line}\n`]);
        await onion.gone;
        assert.deepEqual(await vm.state(), before);
      });
    }
  },
});

Deno.test({
  ...needing("stage 3: runs from a classic config file", ...VM_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    using scratch = scratchDirectory();
    const file = `${scratch.path}/stage3.conf`;
    Deno.writeTextFileSync(file, "# the real world\nstage 3\nnum_routers 1\n");
    await using onion = await vm.onion([file]);
    await onion.ready();
    await vm.pings(2, "-i 0.01 web.mit.edu");
    await endWell(onion);
    assert.equal(onion.log("stage3.router1.out").length, 5);
  },
});

Deno.test({
  ...needing("demo: tells what passed in stage 3, and leaves nothing", ...VM_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    const { machine } = vm.lab;
    assert.equal((await machine.onion("lab", "down")).code, 0);
    const before = await machine.snapshot();
    const { code, stdout, stderr } = await machine.onion("lab", "demo", "--stage", "3");
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^\$ ping -c 4 -I 10\.0\.2\.15 www\.csail\.mit\.edu$/m);
    assert.match(stdout, /as 192\.168\.201\.2/);
    assert.match(stdout, /^4 of 4 pings were answered, after [\d.]+ ms on average\.$/m);
    assert.deepEqual(await machine.snapshot(), before);
  },
});

/** The hops from the gateway of an interface to CSAIL, without a tunnel. */
async function pathOf(vm: Vm, card: number): Promise<string[]> {
  const path = hopsOf(await trace(vm, `-i eth${card}`));
  assert.equal(path.length, 5);
  return path;
}

/**
 * Asserts that captured packets take the tunnel, leave by this interface, and are each answered
 * once.
 */
async function assertCarries(vm: Vm, card: number, path: string[]): Promise<void> {
  const exit = card === 0 ? Address.vm : `192.168.20${card}.2`;
  const place: Place = { party: `gw${card}`, interface: "vm", answers: exit };
  {
    await using outside = await Capture.start(vm.lab, place);
    let sent = 0;
    for (const bind of [`-I ${Address.vm}`, ""]) {
      sent += sentBy(await vm.pings(5, `${bind} -e 4711 -i 0.01 ${Address.csail}`));
    }
    await outside.atLeast(2 * sent);
    const packets = await outside.packets();
    const out = packets.filter((line) => line.startsWith(`IP ${exit} > ${Address.csail}: ICMP echo request`));
    assert.deepEqual([out.length, packets.length], [sent, 2 * sent], packets.join("\n"));
    assert.doesNotMatch(packets.join("\n"), /id 4711\b/);
  }
  const [, ...beyond] = hopsOf(await trace(vm, `-s ${Address.vm}`));
  assert.deepEqual(beyond, path);
}

function trace(vm: Vm, bind: string) {
  return vm.run(`traceroute -I -n -q 1 -w 2 ${bind} ${Address.csail}`);
}

/** Runs `onion down`, and asserts that it succeeds. */
async function undo(vm: Vm): Promise<void> {
  await using onion = await vm.onion(["down"]);
  const { code, stdout, stderr } = await onion.ended;
  assert.deepEqual([code, stderr], [0, ""], stdout);
}
