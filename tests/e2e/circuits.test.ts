/**
 * Stages 5 and 6 with the real executable and real tools, in the practice network: what both have
 * in common.
 *
 *     ping ──► tun1 ──► proxy ──► router A ──► router B ──► router C ── eth⟨C⟩ ──► gw⟨C⟩ ──► hosts
 *                            0x01         0xA01        0xB01
 */
import assert from "node:assert/strict";
import { STAGES } from "../../src/config/stages.ts";
import { Capture, type Place } from "./support/capture.ts";
import {
  circuitLogs,
  firstPath,
  logFile,
  logsOf,
  type Member,
  type Members,
  membersOf,
  type Path,
} from "./support/classic_logs.ts";
import type { Onion } from "./support/onion.ts";
import { needing } from "./support/program.ts";
import { assertAllAnswered, assertNoneLost, errorsOf, hopsOf, reportOf } from "./support/tools.ts";
import { Address, endWell, Vm, VM_NEEDS } from "./support/vm.ts";

/** The stages that build circuits, and the bytes that each hop adds: a counter and a tag. */
const CIRCUIT_STAGES = STAGES.filter(({ circuits }) => circuits !== "direct").map(({ number, circuits }) => ({
  stage: number,
  isSealed: circuits === "sealed",
  overhead: circuits === "sealed" ? 8 + 16 : 0,
}));

/** The interface by which captured packets would leave without a run. */
const ETH0: Place = { party: "vm", interface: "eth0", answers: Address.gw0 };

/** A run with its first circuit. */
interface Built {
  readonly onion: Onion;
  readonly members: Members;
  readonly path: Path;
  /** The last router of the path. */
  readonly exit: Member;
}

/** Waits until a run is ready and has its first circuit. */
async function built(onion: Onion, stage: number, routers: number, hops: number): Promise<Built> {
  const { line } = await onion.ready();
  assert.ok(line.startsWith(`ready: stage ${stage}, tun1 10.5.51.2/24, router 1 pid `), line);
  const members = await membersOf(onion, stage, routers);
  assert.deepEqual(
    members.routers.map(({ address }) => address),
    members.routers.map(({ number }) => `192.168.20${number}.2`),
  );
  const path = await firstPath(onion, stage, members, hops);
  return { onion, members, path, exit: path.at(-1)! };
}

/** The hops between an exit and the hosts of CSAIL. */
function wayOut({ number }: Member): string[] {
  return [`192.168.20${number}.1`, `198.51.100.${4 * number + 1}`, "203.0.113.2", "203.0.113.6"];
}

for (const { stage, isSealed, overhead } of CIRCUIT_STAGES) {
  for (const [routers, hops] of [[2, 1], [4, 3], [6, 5]] as const) {
    Deno.test({
      ...needing(
        `stage ${stage}, ${hops} of ${routers} routers: three pings write the classic log files of every party`,
        ...VM_NEEDS,
        "tcpdump",
      ),
      fn: async () => {
        await using vm = await Vm.up();
        const before = await vm.state();
        await using onion = await vm.onion([
          "--stage",
          `${stage}`,
          "--routers",
          `${routers}`,
          "--hops",
          `${hops}`,
        ]);
        const { members, path, exit } = await built(onion, stage, routers, hops);
        {
          const place = { party: `gw${exit.number}`, interface: "vm", answers: exit.address };
          await using outside = await Capture.start(vm.lab, place);
          await using eth0 = await Capture.start(vm.lab, ETH0);
          assertAllAnswered(await vm.ping(`-I ${Address.vm} -c 3 -i 0.5 ${Address.csail}`), 3);
          assert.deepEqual(
            (await outside.packets()).map((line) => line.replace(/ id \d+,/, "")),
            [1, 2, 3].flatMap((seq) => [
              `IP ${exit.address} > ${Address.csail}: ICMP echo request, seq ${seq}, length 64`,
              `IP ${Address.csail} > ${exit.address}: ICMP echo reply, seq ${seq}, length 64`,
            ]),
          );
          assert.deepEqual(await eth0.packets(), []);
        }
        const { stdout } = await endWell(onion);
        assert.doesNotMatch(stdout, / dropped /);
        const pings = { isSealed, count: 3, client: Address.vm, destination: Address.csail };
        assert.deepEqual(logsOf(onion, stage, members), circuitLogs(members, path, pings));
        assert.deepEqual(await vm.state(), before);
      },
    });
  }

  Deno.test({
    ...needing(`stage ${stage}: takes routers and hops from a classic config file`, ...VM_NEEDS),
    fn: async () => {
      await using vm = await Vm.up();
      await using onion = await vm.configured(`stage ${stage}\nnum_routers 3\n# of them\nminitor_hops 2\n`);
      const { members, path } = await built(onion, stage, 3, 2);
      assertAllAnswered(await vm.ping(`-c 1 ${Address.csail}`), 1);
      await endWell(onion);
      const pings = { isSealed, count: 1, client: Address.vm, destination: Address.csail };
      assert.deepEqual(logsOf(onion, stage, members), circuitLogs(members, path, pings));
    },
  });

  Deno.test({
    ...needing(
      `stage ${stage}: shows the onion as one hop, then the world as it is`,
      ...VM_NEEDS,
      "traceroute",
      "mtr",
      "tcpdump",
    ),
    fn: async (t) => {
      await using vm = await Vm.up();
      await using onion = await vm.onion(["--stage", `${stage}`]);
      const { exit } = await built(onion, stage, 4, 3);
      await using eth0 = await Capture.start(vm.lab, ETH0);
      const hops = [Address.hop, ...wayOut(exit), Address.csail];

      await t.step("traceroute", async () => {
        for (const bind of [`-s ${Address.vm}`, ""]) {
          const traced = await vm.run(`traceroute -I -n -q 1 -w 2 ${bind} ${Address.csail}`);
          assert.deepEqual(hopsOf(traced), hops, traced.stdout);
        }
      });

      await t.step("mtr", async () => {
        for (const bind of [`-a ${Address.vm}`, ""]) {
          const mtr = await vm.run(`mtr -n -r -c 3 -i 0.1 -G 1 ${bind} ${Address.csail}`);
          assert.deepEqual(reportOf(mtr), hops.map((hop) => `${hop} 0.0%`), mtr.stdout);
        }
      });

      await t.step("a dead host stays silent, an unreachable one is reported", async () => {
        const hosts = ["dead.lab", "unreachable.lab", "prohibited.lab", "hole.lab"];
        const said = await Promise.all(hosts.map((host) => vm.ping(`-I ${Address.vm} -c 1 -W 1 ${host}`)));
        assert.deepEqual(said.map(({ code }) => code), [1, 1, 1, 0]);
        assert.deepEqual(said.map(errorsOf), [
          [],
          ["203.0.113.6 icmp_seq=1 Destination Host Unreachable"],
          ["203.0.113.6 icmp_seq=1 Packet filtered"],
          [],
        ]);
      });

      await t.step("TCP and UDP are refused at once", async () => {
        for (const probe of ["-T", "-U"]) {
          const traced = await vm.run(`traceroute ${probe} -n -q 1 -w 1 -m 5 ${Address.csail}`);
          assert.deepEqual(hopsOf(traced), [`${Address.hop} !X`], traced.stdout);
        }
      });

      assert.deepEqual(await eth0.packets(), []);
      await endWell(onion);
    },
  });

  Deno.test({
    ...needing(`stage ${stage}: loses no ping of any length, and answers none twice`, ...VM_NEEDS, "fping"),
    fn: async (t) => {
      await using vm = await Vm.up();
      await using onion = await vm.stage(stage, "--routers 6 --hops 5");
      const quick = `-I ${Address.vm} -i 0.01`;
      await t.step("the MTU of the tunnel, with don't-fragment", async () => {
        await vm.pings(3, `${quick} -M do -s 1472 ${Address.csail}`);
      });
      await t.step("20,000 bytes and max length", async () => {
        await vm.pings(3, `${quick} -s 20000 -p 0123456789abcdef ${Address.csail}`);
        await vm.pings(3, `${quick} -s 65507 ${Address.mit}`);
      });
      await t.step("lengths around the size of a fragment", async () => {
        for (const size of [0, 1, 8, 1471, 1472, 1473, 2952, 2953]) {
          await vm.pings(2, `${quick} -s ${size} -p ff00aa5501fe ${Address.csail}`);
        }
      });
      await t.step("a flood of 3000", async () => {
        assertNoneLost(await vm.ping(`-I ${Address.vm} -f -q -c 3000 ${Address.csail}`), 3000);
      });
      await t.step("200 hosts at once", async () => {
        const sweep = "-a -r 0 -t 2000 -i 1 -g 128.30.3.1 128.30.3.200";
        for (const bind of [`-S ${Address.vm}`, ""]) {
          const { code, stdout, stderr } = await vm.run(`fping ${bind} ${sweep}`);
          assert.deepEqual([code, stderr], [0, ""]);
          assert.equal(new Set(stdout.trimEnd().split("\n")).size, 200);
        }
      });
      const { stdout } = await endWell(onion);
      assert.doesNotMatch(stdout, / dropped /);
    },
  });

  Deno.test({
    ...needing(`stage ${stage}: reports what is too long, with the MTU`, ...VM_NEEDS),
    fn: async (t) => {
      await using vm = await Vm.up();
      // The link MTU less the headers of IPv4, UDP and the cell, and the layers.
      const longest = (linkMtu: number, hops: number) => linkMtu - 20 - 8 - 8 - hops * overhead;
      /** The bytes of ping data in a packet of this length. */
      const filling = (length: number) => length - 20 - 8;
      const whole = `-I ${Address.vm} -M do -c 1`;

      await t.step("by the kernel, if the run created the interface", async () => {
        await using onion = await vm.stage(stage, "--routers 6 --hops 5 --link-mtu 1500");
        const mtu = longest(1500, 5);
        assert.match(await vm.sh("ip link show tun1"), new RegExp(` mtu ${mtu} `));
        assertAllAnswered(await vm.ping(`${whole} -s ${filling(mtu)} ${Address.csail}`), 1);
        const { stdout, stderr } = await vm.ping(`${whole} -s ${filling(mtu) + 1} ${Address.csail}`);
        assert.match(stdout + stderr, new RegExp(`message too long, mtu ?= ?${mtu}`));
        await vm.pings(2, `-I ${Address.vm} -i 0.01 -s 20000 ${Address.csail}`);
        await vm.pings(2, `-I ${Address.vm} -i 0.01 -s 65507 ${Address.mit}`);
        await endWell(onion);
      });

      await t.step("by a router of the world with a narrow link", async () => {
        await using onion = await vm.stage(stage);
        assert.deepEqual(errorsOf(await vm.ping(`${whole} -s 1472 small.lab`)), [
          "203.0.113.6 icmp_seq=1 Frag needed and DF set (mtu = 1280)",
        ]);
        assertAllAnswered(await vm.ping(`${whole} -s ${filling(1280)} small.lab`), 1);
        await vm.pings(2, `-I ${Address.vm} -i 0.01 -s 1472 small.lab`);
        await endWell(onion);
      });

      await vm.sh("ip tuntap add dev tun1 mode tun");
      await t.step("by the proxy, if the interface existed and takes more", async () => {
        await using onion = await vm.stage(stage, "--routers 3 --hops 2 --link-mtu 1500");
        const mtu = longest(1500, 2);
        assertAllAnswered(await vm.ping(`${whole} -s ${filling(mtu)} ${Address.csail}`), 1);
        assert.deepEqual(errorsOf(await vm.ping(`${whole} -s ${filling(mtu) + 1} ${Address.csail}`)), [
          `${Address.hop} icmp_seq=1 Frag needed and DF set (mtu = ${mtu})`,
        ]);
        await vm.pings(2, `-I ${Address.vm} -i 0.01 -s 20000 ${Address.csail}`);
        await endWell(onion);
      });

      await t.step("by proxy and exit, if the interface has the max MTU", async () => {
        await vm.sh("ip link set tun1 mtu 65535");
        await using onion = await vm.stage(stage, "--routers 6 --hops 5");
        const mtu = longest(65_535, 5);
        for (const [size, known] of [[filling(mtu) + 1, mtu], [filling(mtu), 1500]] as const) {
          assert.deepEqual(errorsOf(await vm.ping(`${whole} -s ${size} ${Address.mit}`)), [
            `${Address.hop} icmp_seq=1 Frag needed and DF set (mtu = ${known})`,
          ]);
        }
        await vm.pings(2, `-I ${Address.vm} -i 0.01 -s 65507 ${Address.mit}`);
        await endWell(onion);
      });
    },
  });

  Deno.test({
    ...needing(`stage ${stage}: two users have one circuit each, and get their own answers`, ...VM_NEEDS),
    fn: async () => {
      await using vm = await Vm.up();
      await using onion = await vm.stage(stage, "--routers 6 --hops 3");
      // A program that is bound to the interface and to its address is another user.
      await Promise.all(
        [`-I ${Address.vm}`, "-I tun1 -I 10.5.51.2"].map((bind) =>
          vm.pings(50, `${bind} -i 0.02 ${Address.csail}`)
        ),
      );
      await endWell(onion);
      const answers = onion.log(logFile(stage, "proxy")).filter((line) => line.startsWith("incoming packet"));
      // The circuit of the captured address is built before it is needed.
      assert.deepEqual([...new Set(answers)].sort(), [
        `incoming packet, circuit incoming: 0x01, src: ${Address.csail}, dst: ${Address.vm}`,
        `incoming packet, circuit incoming: 0x02, src: ${Address.csail}, dst: 10.5.51.2`,
      ]);
    },
  });
}
