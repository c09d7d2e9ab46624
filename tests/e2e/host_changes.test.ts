/**
 * Host plans on a real kernel. The kernel accepts every command, a new plan recognises the changes,
 * and undoing restores the host, whenever a run dies.
 *
 *      ┌────────────── a network namespace ──────────────┐
 *      │   eth0 ══ gw0     eth1 ══ gw1     ppp0    tun1  │      ══ two ends of one cable
 *      └─────────────────────────────────────────────────┘
 */
import assert from "node:assert/strict";
import { JOURNAL_DIR } from "../../src/host/apply/journal_file.ts";
import { ROOT } from "../../scripts/project.ts";
import type { Order, Report } from "./support/change_host.ts";
import { Namespace } from "./support/namespace.ts";
import { AS_NOBODY, needingNobody, NOBODY_ID } from "./support/nobody.ts";
import { Onion } from "./support/onion.ts";
import { needing, ONION, run, scratchDirectory } from "./support/program.ts";
import { type Snapshot, snapshot } from "./support/snapshot.ts";

const SCRIPT = new URL("support/change_host.ts", import.meta.url).pathname;
const DENO = [Deno.execPath(), "run", "--quiet", "-A"];

/** A host, and what the plan for it must contain. */
interface Situation {
  /** Commands that set up the host in its namespace. */
  readonly setUp: readonly string[];
  readonly options?: Order["options"];
  /** Commands that the plan must contain. */
  readonly makes: readonly string[];
  /** Beginnings of commands that it must not contain. */
  readonly makesNo?: readonly string[];
}

const cable = (name: string, end: string, ...addresses: string[]) => [
  `ip link add ${name} type veth peer name ${end}`,
  `ip link set ${end} up`,
  ...addresses.map((address) => `ip address add ${address} dev ${name}`),
  `ip link set ${name} up`,
];

const ETH0 = [...cable("eth0", "gw0", "10.0.2.15/24"), "ip route add default via 10.0.2.2"];

const TWO_CARDS = [
  ...ETH0,
  ...cable("eth1", "gw1", "192.168.201.2/24"),
  "ip route add default via 192.168.201.1 metric 100",
];

const STRICT = ["all", "default"].map((name) => `echo 1 >/proc/sys/net/ipv4/conf/${name}/rp_filter`);

const BY_HAND = [
  "ip tuntap add dev tun1 mode tun",
  "ip address add 10.5.51.2/24 dev tun1",
  "ip link set tun1 up",
  "ip rule add from 10.0.2.15 table 9 priority 8",
  "ip route add table 9 18.0.0.0/8 dev tun1",
  "ip route add table 9 128.0.0.0/8 dev tun1",
];

/** iptables creates its tables and chains on first use, and never removes them. */
const WARM_UP = ["mangle -A OUTPUT", "mangle -A POSTROUTING", "filter -A OUTPUT"].flatMap((chain) =>
  [chain, chain.replace("-A", "-D")].map((words) => `iptables -w -t ${words} -j ACCEPT`)
);

const SITUATIONS: Readonly<Record<string, Situation>> = {
  "two cards": {
    setUp: TWO_CARDS,
    makes: [
      "ip route add default via 192.168.201.1 dev eth1 table 901",
      "ip rule add fwmark 0x6f6e0385 table 901 priority 7",
    ],
    makesNo: ["sysctl -w net.ipv4.conf"],
  },
  "a second card without an address, and down": {
    setUp: [...ETH0, ...cable("eth1", "gw1"), "ip link set eth1 down"],
    options: { exit: "eth1@192.168.201.1" },
    makes: ["ip address add 192.168.201.2/24 dev eth1", "ip link set eth1 up"],
  },
  "one card, and a strict reverse path filter": {
    setUp: [...STRICT, ...ETH0],
    makes: [
      "ip rule add fwmark 0x6f6e0385 table 901 priority 7",
      "sysctl -w net.ipv4.conf.tun1.rp_filter=2",
      "sysctl -w net.ipv4.conf.eth0.rp_filter=2",
    ],
  },
  "one card, whose name has a dot": {
    setUp: [...STRICT, ...cable("wan.5", "gw0", "10.0.2.15/24"), "ip route add default via 10.0.2.2"],
    options: { tun: "onion.0" },
    makes: [
      "sysctl -w net/ipv4/conf/onion.0/rp_filter=2",
      "sysctl -w net/ipv4/conf/wan.5/rp_filter=2",
    ],
  },
  "a gateway off the link": {
    setUp: [
      ...ETH0,
      ...cable("eth1", "gw1", "192.0.2.7/32"),
      "ip route add default via 192.0.2.1 dev eth1 onlink metric 9",
    ],
    makes: ["ip route add default via 192.0.2.1 onlink dev eth1 table 901"],
  },
  "an exit on a point-to-point link, without a gateway": {
    setUp: [
      ...ETH0,
      "ip tuntap add dev ppp0 mode tun",
      "ip address add 10.64.0.9 peer 10.64.0.1/32 dev ppp0",
      "ip link set ppp0 up",
    ],
    options: { exit: "ppp0" },
    makes: ["ip route add default dev ppp0 table 901"],
  },
  "several ways to the world": {
    setUp: [
      ...cable("eth0", "gw0", "10.0.2.15/24"),
      ...cable("eth1", "gw1", "192.168.201.2/24"),
      "ip route add default nexthop via 10.0.2.2 dev eth0 nexthop via 192.168.201.1 dev eth1",
    ],
    makes: [
      "ip rule add from 10.0.2.15 table 9 priority 8",
      "ip route add default via 192.168.201.1 dev eth1 table 901",
    ],
  },
  "a gateway with an IPv6 address": {
    setUp: [
      ...ETH0,
      ...cable("eth1", "gw1", "192.168.201.2/24"),
      // With IPv6, but without an address that the kernel makes.
      "echo 1 >/proc/sys/net/ipv6/conf/eth1/addr_gen_mode",
      "echo 0 >/proc/sys/net/ipv6/conf/eth1/disable_ipv6",
      "ip -4 route add 0.0.0.0/0 via inet6 fe80::1 dev eth1 metric 9",
    ],
    makes: ["ip route add 0.0.0.0/0 via inet6 fe80::1 dev eth1 table 901"],
  },
  "an exit without a gateway, as in the course": {
    setUp: [...ETH0, ...cable("eth1", "gw1", "192.168.201.2/24")],
    makes: ["ip rule add fwmark 0x6f6e0385 table main priority 7"],
    makesNo: ["ip route add default", "ip route add 192.168.201.0"],
  },
  "a card whose address is on the loopback": {
    setUp: [
      ...cable("eth0", "gw0"),
      "ip address add 10.255.0.9/32 dev lo",
      "ip route add 10.0.2.2 dev eth0",
      "ip route add default via 10.0.2.2 dev eth0 src 10.255.0.9",
    ],
    makes: [
      "ip rule add from 10.255.0.9 table 9 priority 8",
      "ip route add 10.0.2.2 dev eth0 table 901",
      "ip route add default via 10.0.2.2 dev eth0 table 901",
    ],
    makesNo: ["ip address add 192.168"],
  },
  "a card with several names": {
    setUp: [...TWO_CARDS, "ip link property add dev eth1 altname enp0s8"],
    options: { exit: "enp0s8" },
    makes: ["ip route add default via 192.168.201.1 dev eth1 table 901"],
  },
  "a tun1 with several queues": {
    setUp: [...TWO_CARDS, "ip tuntap add dev tun1 mode tun multi_queue"],
    makes: ["ip address add 10.5.51.2/24 dev tun1"],
  },
  "everything is captured": {
    setUp: TWO_CARDS,
    options: { capture: "0.0.0.0/0" },
    makes: ["ip route add table 9 0.0.0.0/0 dev tun1"],
  },
  "blocks of every size are captured": {
    setUp: ETH0,
    options: { capture: "0.0.0.0/1,128.30.2.155,128.30.3.0/24,192.0.2.0/31" },
    makes: ["ip route add table 9 128.30.2.155 dev tun1"],
  },
  "set up by hand, in the classic way": {
    setUp: [...TWO_CARDS, ...BY_HAND],
    makes: ["ip rule add fwmark 0x6f6e0385 table 901 priority 7"],
    makesNo: ["ip address", "ip link", "ip rule add from 10.0.2.15", "ip route add table 9 "],
  },
  "set up by hand, but without the address": {
    setUp: [...STRICT, ...ETH0, "ip tuntap add dev tun1 mode tun"],
    makes: ["ip address add 10.5.51.2/24 dev tun1", "ip link set tun1 up"],
  },
};

/**
 * Sets up a namespace as a host of this kind. Without IPv6, because the kernel would add addresses
 * by itself.
 */
async function hostLike(setUp: readonly string[]): Promise<Namespace> {
  const namespace = await Namespace.make({ ipv6: false });
  await shell(namespace, setUp);
  return namespace;
}

async function shell(namespace: Namespace, lines: readonly string[]): Promise<void> {
  const { code, stderr } = await namespace.run("sh", "-euc", lines.join("\n"));
  assert.equal(code, 0, stderr);
}

/** Everything that may change, including sysctls. */
async function look(namespace: Namespace): Promise<Snapshot & { readonly sysctls: string }> {
  const { stdout } = await namespace.run(
    "sh",
    "-c",
    "cd /proc/sys/net/ipv4; grep . ipfrag_max_dist conf/*/rp_filter",
  );
  return { ...await snapshot(namespace), sysctls: stdout };
}

/** A process that makes a run's changes to a host. */
class Changer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #stdout: ReadableStreamDefaultReader<string>;
  readonly #stderr: Promise<string>;

  constructor(namespace: Namespace, order: Order) {
    const [command = "", ...args] = [...namespace.enter, ...DENO, SCRIPT, JSON.stringify(order)];
    this.#child = new Deno.Command(command, { args, stdin: "piped", stdout: "piped", stderr: "piped" })
      .spawn();
    this.#stderr = new Response(this.#child.stderr).text();
    this.#stdout = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** The changes it made. */
  async report(): Promise<Report> {
    let text = "";
    while (!text.endsWith("\n")) {
      const { value, done } = await this.#stdout.read();
      if (done) assert.fail(await this.#stderr);
      text += value;
    }
    return JSON.parse(text);
  }

  /** Lets it undo everything, and returns its stderr. */
  async end(): Promise<string> {
    await this.#child.stdin.close().catch(() => {});
    await this.#stdout.cancel();
    await this.#child.status;
    return await this.#stderr;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

/** Runs `onion down` from source. */
const down = (namespace: Namespace) => namespace.run(DENO[0]!, ...DENO.slice(1), `${ROOT}main.ts`, "down");

for (const [name, { setUp, options, makes, makesNo = [] }] of Object.entries(SITUATIONS)) {
  for (const tool of ["nft", "iptables"] as const) {
    Deno.test({
      ...needing(
        `host plan for ${name}, with ${tool}: is carried out, recognised, and undone`,
        "root",
        "ip",
        tool,
      ),
      fn: async () => {
        await using namespace = await hostLike(setUp);
        if (tool === "iptables") await shell(namespace, WARM_UP);
        const before = await look(namespace);
        await using changer = new Changer(namespace, { ...(options && { options }), tool });
        const { made, again } = await changer.report();
        for (const command of makes) {
          assert.ok(made.includes(command), `no ${command} in\n${made.join("\n")}`);
        }
        for (const start of makesNo) assert.ok(!made.some((command) => command.startsWith(start)), start);
        // A new plan finds everything in place, except for firewall rules, which belong to each
        // run.
        assert.deepEqual(again, made.filter((command) => /^(nft|iptables) /.test(command)));
        assert.equal(await changer.end(), "");
        assert.deepEqual(await look(namespace), before);
      },
    });
  }
}

/**
 * A host on which every kind of change is needed. Its TUN interface stays, so the journal has all
 * of them.
 */
const EVERYTHING = [
  ...STRICT,
  ...ETH0,
  ...cable("eth1", "gw1"),
  "ip link set eth1 down",
  "ip tuntap add dev tun1 mode tun",
];
const EXIT = { exit: "eth1@192.168.201.1" };

/** The changes made there. */
async function everything(tool: "nft" | "iptables"): Promise<readonly string[]> {
  await using namespace = await hostLike(EVERYTHING);
  await using changer = new Changer(namespace, { options: EXIT, tool });
  return (await changer.report()).made;
}

for (const tool of ["nft", "iptables"] as const) {
  Deno.test({
    ...needing(
      `host plan with ${tool}: onion down undoes what a run killed at any step left`,
      "root",
      "ip",
      tool,
    ),
    fn: async () => {
      await using namespace = await hostLike(EVERYTHING);
      if (tool === "iptables") await shell(namespace, WARM_UP);
      const before = await look(namespace);
      const made = await everything(tool);
      // The steps by `ip` are the same with both firewall tools.
      const first = tool === "nft" ? 1 : made.findIndex((command) => command.startsWith(tool));
      for (let dieAfter = first; dieAfter <= made.length; dieAfter++) {
        for (const dieWriting of [false, true]) {
          const what = `after ${dieAfter}${dieWriting ? ", and writing the next down" : ""}`;
          await new Changer(namespace, { options: EXIT, tool, dieAfter, dieWriting }).end();
          assert.notDeepEqual(await look(namespace), before, what);
          const { code, stdout, stderr } = await down(namespace);
          assert.deepEqual([code, stderr], [0, ""], what);
          const undone = stdout.match(/^undone: /gm)?.length ?? 0;
          // A second `onion down` succeeds too.
          assert.ok(undone === dieAfter || (dieWriting && undone === dieAfter + 1), `${what}: ${stdout}`);
          assert.deepEqual(await look(namespace), before, what);
        }
      }
      assert.equal((await down(namespace)).stdout, "nothing to undo\n");
    },
  });
}

/** What stage 1 says about a closed capture. */
const CLOSED =
  /^onion proxy: warning: an earlier run died, and what it captured stays refused: run `onion down` .*\n$/;

Deno.test({
  ...needingNobody(
    "leftovers: stage 1 undoes all but a closed capture, or is silent without the privilege",
    "ip",
    "nft",
  ),
  fn: async () => {
    await using namespace = await hostLike(EVERYTHING);
    const before = await look(namespace);
    await new Changer(namespace, { options: EXIT, dieAfter: 6 }).end();
    const left = await look(namespace);
    assert.notDeepEqual(left, before);
    using scratch = scratchDirectory();
    Deno.chownSync(scratch.path, NOBODY_ID, NOBODY_ID);
    const nobody = { via: AS_NOBODY, directory: scratch.path, env: { ONION_CACHE_DIR: scratch.path } };
    // What it left of its TUN interface, and with it the routes there.
    const { links, addresses } = before;
    const routes = left.routes.replaceAll(/^.* dev tun1 .*\n/gm, "");
    const closed = { ...left, links, addresses, routes };
    assert.notDeepEqual(closed, before);
    for (const [circumstances, expected, says] of [[nobody, left, /^$/], [{}, closed, CLOSED]] as const) {
      await using onion = await Onion.start(["--stage", "1"], { namespace, ...circumstances });
      await onion.ready();
      const { code, stderr } = await onion.end();
      assert.match(stderr, says);
      assert.equal(code, 0);
      assert.deepEqual(await look(namespace), expected);
    }
    assert.equal((await down(namespace)).code, 0);
    assert.deepEqual(await look(namespace), before);
  },
});

Deno.test({
  ...needing("host plan: a change that the kernel refuses undoes those before it", "root", "ip", "nft"),
  fn: async () => {
    await using namespace = await hostLike(EVERYTHING);
    const before = await look(namespace);
    const said = await new Changer(namespace, { options: { exit: "eth1@203.0.113.1" } }).end();
    assert.match(
      said,
      /`ip route add default via 203\.0\.113\.1 dev eth1 table 901` failed: .*invalid gateway/,
    );
    assert.deepEqual(await look(namespace), before);
  },
});

Deno.test({
  ...needing(
    "two runs: neither relies on what the other removes",
    "root",
    "ip",
    "nft",
  ),
  fn: async () => {
    await using namespace = await hostLike(TWO_CARDS);
    await using one = new Changer(namespace, {});
    await one.report();
    const running = await look(namespace);
    const refused = (options: Order["options"]) =>
      new Changer(namespace, { ...(options && { options }) }).end();
    const TUN2 = { tun: "tun2", address: "10.5.52.2/24" };
    // The second must not rely on what the first removes at its end.
    assert.match(
      await refused({ ...TUN2, capture: "17.0.0.0/8" }),
      /another run, process \d+, has made this and will undo it when it ends: rule from 10\.0\.2\.15 to table 9$/m,
    );
    assert.match(await refused(TUN2), /table 9 is in use: it leads 18\.0\.0\.0\/8 to tun1$/m);
    assert.match(
      await refused({}),
      /another run, process \d+, has made this .*: rule from 10\.0\.2\.15 to table 9$/m,
    );
    assert.deepEqual(await look(namespace), running);

    // With its own settings the second run works, and the end of the first takes nothing from it.
    await using other = new Changer(namespace, { options: { ...TUN2, table: "10", capture: "17.0.0.0/8" } });
    const { made } = await other.report();
    assert.equal(await one.end(), "");
    const { rules, routes, firewall } = await look(namespace);
    assert.match(rules, /from 10\.0\.2\.15 lookup 10/);
    assert.doesNotMatch(rules, /lookup 9$/m);
    assert.match(routes, /17\.0\.0\.0\/8 dev tun2 table 10/);
    assert.match(firewall, /17\.0\.0\.0\/8/);
    assert.equal(made.filter((command) => command.startsWith("nft")).length, 1);
  },
});

Deno.test({
  ...needing("host plan: leaves alone what is the user's, however similar", "root", "ip", "iptables"),
  fn: async () => {
    const resets = (address: string) =>
      `iptables -w -A OUTPUT -s ${address} -p tcp --tcp-flags RST RST -j DROP`;
    await using namespace = await hostLike([
      ...TWO_CARDS,
      ...WARM_UP.filter((command) => command.includes(" -A ")),
      resets("192.168.201.2"),
      resets("192.168.201.3"),
      "ip rule add from 10.0.2.15 iif lo table 9 priority 5",
      "ip rule add from 10.0.2.15 table 8 priority 8",
      "ip rule add fwmark 0x6f6e0385 table 901 priority 3",
      "ip route add 192.168.201.0/24 dev eth1 table 901",
      "ip route add default via 192.168.201.1 dev eth1 table 901",
    ]);
    const before = await look(namespace);
    const changer = new Changer(namespace, { tool: "iptables" });
    await changer.report();
    assert.equal(await changer.end(), "");
    assert.deepEqual(await look(namespace), before);
  },
});

Deno.test({
  ...needing("leftovers: stay until a run in their own network undoes them", "root", "ip", "nft"),
  fn: async () => {
    await using here = await hostLike([...TWO_CARDS, ...BY_HAND]);
    const before = await look(here);
    let journal = "";
    {
      await using there = await hostLike([...TWO_CARDS, "ip tuntap add dev tun1 mode tun"]);
      const clean = await look(there);
      await new Changer(there, { dieAfter: 4 }).end();
      assert.equal((await down(here)).stdout, "nothing to undo\n");
      assert.deepEqual(await look(here), before);
      assert.match((await down(there)).stdout, /^(undone: .*\n){4}$/);
      assert.deepEqual(await look(there), clean);
      await new Changer(there, { dieAfter: 4 }).end();
      const { journals: [name, ...others] } = await look(there);
      assert.deepEqual(others, []);
      journal = `${JOURNAL_DIR}/${name}`;
    }
    // That network is gone now, so the next `onion down` removes its journal.
    assert.equal((await down(here)).stdout, "nothing to undo\n");
    assert.deepEqual(await look(here), before);
    assert.throws(() => Deno.statSync(journal), Deno.errors.NotFound);
  },
});

Deno.test({
  ...needing("--print-commands: the commands work when typed", "root", "ip", "nft"),
  fn: async () => {
    await using namespace = await hostLike([...STRICT, ...TWO_CARDS]);
    const args = [...DENO.slice(1), `${ROOT}main.ts`, "--stage", "3", "--print-commands"];
    const { code, stdout, stderr } = await namespace.run(DENO[0]!, ...args);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^ip tuntap add dev tun1 mode tun\nip address add 10\.5\.51\.2\/24 dev tun1\n/);
    await shell(namespace, [stdout.replaceAll(/^sysctl -w (\S+)=(\S+)$/gm, (_, name, value) =>
      // The program may be missing on this machine.
      `echo ${value} >/proc/sys/${name.replaceAll(".", "/")}`)]);
    const typed = await look(namespace);
    const changer = new Changer(namespace, {});
    const { made } = await changer.report();
    assert.deepEqual(made.map((command) => command.split(" ")[0]), ["nft"], "all else is there");
    assert.equal(await changer.end(), "");
    assert.deepEqual(await look(namespace), typed, "and stays");
  },
});

Deno.test({
  ...needingNobody("onion down: says which privilege it lacks", "ip", "nft"),
  fn: async () => {
    await using namespace = await hostLike(TWO_CARDS);
    await using changer = new Changer(namespace, {});
    await changer.report();
    using scratch = scratchDirectory();
    Deno.chownSync(scratch.path, NOBODY_ID, NOBODY_ID);
    const [command = "", ...args] = [...AS_NOBODY, ONION, "down"];
    assert.deepEqual(await run(command, args, { env: { ONION_CACHE_DIR: scratch.path } }), {
      code: 3,
      stdout: "",
      stderr:
        "onion: not permitted to read /run/onion, where runs record their changes; run it as root: sudo onion down\n",
    });
  },
});
