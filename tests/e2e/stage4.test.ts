/**
 * Stage 4 with the real executable and real tools, in the practice network: the destination selects
 * one of several routers.
 *
 *                       ┌──► router 1 ── eth1, 192.168.201.2 ──► gw1 ─┐
 *     ping ──► proxy ───┼──► router 2 ── eth2, 192.168.202.2 ──► gw2 ─┼─ the internet ── hosts
 *                       └──► …                                        ┘
 */
import assert from "node:assert/strict";
import { addressNumber } from "../support/packets.ts";
import { Capture, type Place } from "./support/capture.ts";
import { directLogs, logsOf, membersOf } from "./support/classic_logs.ts";
import type { Onion } from "./support/onion.ts";
import { needing } from "./support/program.ts";
import { assertAllAnswered, assertNoneLost } from "./support/tools.ts";
import { Address, endWell, Vm, VM_NEEDS } from "./support/vm.ts";

/** The interface by which captured packets would leave without a run. */
const ETH0: Place = { party: "vm", interface: "eth0", answers: Address.gw0 };

/**
 * Hosts, the number of pings to each, and its router out of four: the address as a number, modulo
 * four.
 */
const SAMPLE = [
  { host: "128.30.2.102", pings: 1, router: 3 },
  { host: "128.30.2.103", pings: 2, router: 4 },
  { host: "128.30.2.104", pings: 3, router: 1 },
] as const;

/** All ways to start stage 4 with four routers. */
const STARTS: Readonly<Record<string, (vm: Vm) => Promise<Onion>>> = {
  "by flags": (vm) => vm.onion(["--stage", "4", "--routers", "4"]),
  "by default": (vm) => vm.onion(["--stage", "4"]),
  "by a classic config file": (vm) => vm.configured("# one of four\nstage 4\nnum_routers\t4\n"),
};

for (const [name, start] of Object.entries(STARTS)) {
  Deno.test({
    ...needing(
      `stage 4, four routers ${name}: the classic pings write the classic log files`,
      ...VM_NEEDS,
      "tcpdump",
    ),
    fn: async () => {
      await using vm = await Vm.up();
      const before = await vm.state();
      await using onion = await start(vm);
      const { line, routers } = await onion.ready();
      const who = routers.map((pid, at) => `router ${at + 1} pid ${pid}`).join(", ");
      assert.equal(line, `ready: stage 4, tun1 10.5.51.2/24, ${who}`);
      const members = await membersOf(onion, 4, 4);
      {
        await using eth0 = await Capture.start(vm.lab, ETH0);
        await using gateways = await Gateways.watch(vm, 4);
        for (const { host, pings } of SAMPLE) {
          assertAllAnswered(await vm.ping(`-I ${Address.vm} -c ${pings} -i 0.5 ${host}`), pings);
        }
        const passed = await gateways.packets();
        assert.deepEqual(passed, passed.map((_, at) => expectedAt(at + 1)));
        assert.deepEqual(await eth0.packets(), []);
      }
      await endWell(onion);
      const pings = SAMPLE.map(({ host, pings: count, router }) => (
        { client: Address.vm, destination: host, count, router }
      ));
      assert.deepEqual(logsOf(onion, 4, members), directLogs(members, pings, "world"));
      assert.deepEqual(await vm.state(), before);
    },
  });
}

/** The packets of the sample at a gateway, as tcpdump prints them, without identifiers. */
function expectedAt(gateway: number): string[] {
  const own = `192.168.20${gateway}.2`;
  return SAMPLE.filter(({ router }) => router === gateway).flatMap(({ host, pings }) =>
    Array.from({ length: pings }, (_, at) => [
      `IP ${own} > ${host}: ICMP echo request, seq ${at + 1}, length 64`,
      `IP ${host} > ${own}: ICMP echo reply, seq ${at + 1}, length 64`,
    ]).flat()
  );
}

/** Captures between the VM and the gateways of its exits. */
class Gateways implements AsyncDisposable {
  readonly #captures: readonly Capture[];
  readonly #stack: AsyncDisposableStack;

  private constructor(captures: readonly Capture[], stack: AsyncDisposableStack) {
    this.#captures = captures;
    this.#stack = stack;
  }

  /** Starts to capture at the first `count` gateways. */
  static async watch({ lab }: Vm, count: number): Promise<Gateways> {
    await using stack = new AsyncDisposableStack();
    const captures = [];
    for (let number = 1; number <= count; number++) {
      const place = { party: `gw${number}`, interface: "vm", answers: `192.168.20${number}.2` };
      captures.push(stack.use(await Capture.start(lab, place)));
    }
    return new Gateways(captures, stack.move());
  }

  /** The packets so far at each gateway, without identifiers. */
  packets(): Promise<string[][]> {
    return Promise.all(
      this.#captures.map(async (capture) =>
        (await capture.packets()).map((line) => line.replace(/ id \d+,/, ""))
      ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

for (const count of [1, 6]) {
  Deno.test({
    ...needing(
      `stage 4 with --routers ${count}: each host goes by the router of its number`,
      ...VM_NEEDS,
      "tcpdump",
    ),
    fn: async () => {
      const hosts = Array.from({ length: 12 }, (_, at) => `128.30.3.${at + 1}`);
      const routerOf = (host: string) => addressNumber(host) % count + 1;
      await using vm = await Vm.up();
      await using onion = await vm.stage(4, `--routers ${count}`);
      const members = await membersOf(onion, 4, count);
      {
        // At the hosts, behind the masquerading gateways.
        const place = { party: "csail", interface: "net3", answers: "203.0.113.9" };
        await using world = await Capture.start(vm.lab, { ...place, filter: "icmp[icmptype] == icmp-echo" });
        for (const host of hosts) await vm.pings(1, host);
        const seen = (await world.packets()).map((line) => line.replace(/:.*$/, ""));
        assert.deepEqual(
          [...new Set(seen)],
          hosts.map((host) => `IP 198.51.100.${4 * routerOf(host) + 2} > ${host}`),
        );
      }
      await endWell(onion);
      const { proxy: _, ...logs } = logsOf(onion, 4, members);
      const isAnswer = (line: string) => line.startsWith("ICMP from raw sock");
      for (const { number } of members.routers) {
        assert.deepEqual(
          [...new Set(logs[`router${number}`]!.filter(isAnswer))],
          hosts.filter((host) => routerOf(host) === number).map((host) =>
            `ICMP from raw sock, src: ${host}, dst: 192.168.20${number}.2, type: 0`
          ),
        );
      }
    },
  });
}

/** Pings 200 hosts once each. */
async function sweep(vm: Vm, bind: string): Promise<void> {
  const { code, stdout, stderr } = await vm.run(
    `fping ${bind} -a -r 0 -t 2000 -i 1 -g 128.30.3.1 128.30.3.200`,
  );
  // A duplicate would be on stderr.
  assert.deepEqual([code, stderr], [0, ""]);
  assert.equal(new Set(stdout.trimEnd().split("\n")).size, 200);
}

Deno.test({
  ...needing("stage 4, six routers: loses no ping, and answers none twice", ...VM_NEEDS, "fping"),
  fn: async (t) => {
    await using vm = await Vm.up();
    await using onion = await vm.stage(4, "--routers 6");
    for (const bind of [`-S ${Address.vm}`, ""]) {
      await t.step(`200 hosts at once ${bind}`, () => sweep(vm, bind));
    }
    await t.step("floods to six hosts at once", () => floods(vm, 6));
    const { stdout } = await endWell(onion);
    assert.doesNotMatch(stdout, / dropped /);
  },
});

Deno.test({
  ...needing(
    "stage 4, one card for all routers: loses no ping, and answers none twice",
    ...VM_NEEDS,
    "fping",
  ),
  fn: async (t) => {
    await using vm = await Vm.up();
    await vm.sh("for number in 1 2 3 4 5 6; do ip link delete eth$number; done");
    const before = await vm.state();
    await using onion = await vm.stage(4, "--routers 4");
    await t.step("one ping each", async () => {
      for (const { host, pings } of SAMPLE) await vm.pings(pings, `-I ${Address.vm} -i 0.1 ${host}`);
    });
    await t.step("200 hosts at once", () => sweep(vm, `-S ${Address.vm}`));
    await t.step("floods to four hosts at once", () => floods(vm, 4));
    await t.step("20,000 bytes", async () => {
      await vm.pings(3, `-I ${Address.vm} -i 0.01 -s 20000 ${Address.csail}`);
    });
    await t.step("errors of the world", async () => {
      const ends = [Address.hop, Address.gw0, "198.51.100.1", "203.0.113.2"];
      for (const [at, who] of ends.entries()) {
        const { stdout } = await vm.ping(`-I ${Address.vm} -c 1 -t ${at + 1} ${Address.csail}`);
        assert.match(stdout, new RegExp(`^From ${who} icmp_seq=1 Time to live exceeded$`, "m"));
        assert.match(stdout, / 0 received, \+1 errors/);
      }
    });
    const { stdout } = await endWell(onion);
    // Each router also gets the packets for the others, and drops them.
    const drops = stdout.match(/^.*: dropped .*$/gm) ?? [];
    assert.deepEqual(
      drops.filter((drop) => !/^router \d: dropped \d+ (not-ours|ttl-expired):/.test(drop)),
      [],
    );
    assert.deepEqual(await vm.state(), before);
  },
});

Deno.test({
  ...needing(
    "stage 4, routers that share cards: loses no ping, also on the captured card",
    ...VM_NEEDS,
    "tcpdump",
    "fping",
  ),
  fn: async () => {
    await using vm = await Vm.up();
    const before = await vm.state();
    await using onion = await vm.stage(4, "--exit eth0,eth1,eth0,eth1");
    {
      const place = { party: "csail", interface: "net3", answers: "203.0.113.9" };
      await using world = await Capture.start(vm.lab, { ...place, filter: "icmp[icmptype] == icmp-echo" });
      for (const { host } of SAMPLE) await vm.pings(1, `-I ${Address.vm} ${host}`);
      const seen = (await world.packets()).map((line) => line.replace(/:.*$/, ""));
      assert.deepEqual([...new Set(seen)], [
        // Routers 3, 4 and 1, behind gateways 0, 1 and 0.
        "IP 198.51.100.2 > 128.30.2.102",
        "IP 198.51.100.6 > 128.30.2.103",
        "IP 198.51.100.2 > 128.30.2.104",
      ]);
    }
    await sweep(vm, `-S ${Address.vm}`);
    await floods(vm, 4);
    await endWell(onion);
    assert.deepEqual(await vm.state(), before);
  },
});

/** Simultaneous floods of 1000 pings to each of `hosts` hosts. */
async function floods(vm: Vm, hosts: number): Promise<void> {
  await Promise.all(
    Array.from(
      { length: hosts },
      async (_, at) =>
        assertNoneLost(await vm.ping(`-I ${Address.vm} -f -q -c 1000 128.30.3.${at + 1}`), 1000),
    ),
  );
}
