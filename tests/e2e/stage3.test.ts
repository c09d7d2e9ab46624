/**
 * Stage 3 with the real executable and real tools, in the practice network.
 *
 *     ping ──► tun1 ──► proxy ──UDP on lo──► router ── eth1, 192.168.201.2 ──► gw1 ── … ── hosts
 *                                                      eth0, 10.0.2.15: no packet passes here
 */
import assert from "node:assert/strict";
import { Capture, type Place } from "./support/capture.ts";
import { directLogs, logsOf, membersOf } from "./support/classic_logs.ts";
import { needing } from "./support/program.ts";
import { assertAllAnswered, errorsOf, hopsOf, reportOf, sentBy } from "./support/tools.ts";
import { Address, endWell, Vm, VM_NEEDS } from "./support/vm.ts";

/** The interface by which captured packets would leave without a run. */
const ETH0: Place = { party: "vm", interface: "eth0", answers: Address.gw0 };

/** Outside the VM: packets of router 1, both ways. */
const OUTSIDE: Place = { party: "gw1", interface: "vm", answers: Address.exit };

Deno.test({
  ...needing(
    "stage 3: four pings to www.csail.mit.edu write the classic log files, line by line",
    ...VM_NEEDS,
    "tcpdump",
  ),
  fn: async () => {
    await using vm = await Vm.up();
    const before = await vm.state();
    await using onion = await vm.onion(["--stage", "3"]);
    const { line, router } = await onion.ready();
    assert.equal(line, `ready: stage 3, tun1 10.5.51.2/24, router 1 pid ${router}`);
    {
      await using outside = await Capture.start(vm.lab, OUTSIDE);
      await using eth0 = await Capture.start(vm.lab, ETH0);
      // As a user would type it, but faster. Never sends more packets, however late a reply is.
      const said = await vm.ping(`-I ${Address.vm} -c 4 -i 0.5 www.csail.mit.edu`);
      assertAllAnswered(said, 4);
      const passed = await outside.packets();
      const [, id] = /, id (\d+),/.exec(passed[0]!)!;
      assert.deepEqual(
        passed,
        [1, 2, 3, 4].flatMap((seq) => [
          `IP 192.168.201.2 > 128.30.2.155: ICMP echo request, id ${id}, seq ${seq}, length 64`,
          `IP 128.30.2.155 > 192.168.201.2: ICMP echo reply, id ${id}, seq ${seq}, length 64`,
        ]),
      );
      assert.deepEqual(await eth0.packets(), []);
    }
    await endWell(onion);

    const members = await membersOf(onion, 3, 1);
    const pings = { count: 4, client: Address.vm, destination: Address.csail, router: 1 };
    assert.equal(members.routers[0]!.line, `router: 1, pid: ${router}, port: ${members.routers[0]!.port}`);
    assert.deepEqual(logsOf(onion, 3, members), directLogs(members, [pings], "world"));
    assert.deepEqual(await vm.state(), before);
  },
});

Deno.test({
  ...needing("stage 3: loses no ping, and answers none twice", ...VM_NEEDS, "tcpdump", "fping"),
  fn: async (t) => {
    await using vm = await Vm.up();
    await using onion = await vm.stage3();
    await using eth0 = await Capture.start(vm.lab, ETH0);

    /**
     * A socket with an address, as by `ping -I`, and one whose address the kernel chooses after
     * routing.
     */
    const sockets = { bound: `-I ${Address.vm}`, unbound: "" };
    for (const [name, bind] of Object.entries(sockets)) {
      const quick = `${bind} -i 0.01`;
      await t.step(`100 pings, from a socket that is ${name}`, async () => {
        await vm.pings(100, `${quick} ${Address.csail}`);
      });
      await t.step(`20,000 bytes and max length, from a socket that is ${name}`, async () => {
        const long = await vm.pings(3, `${quick} -s 20000 ${Address.csail}`);
        assert.match(long.stdout, /^20008 bytes from 128\.30\.2\.155: icmp_seq=3 ttl=59 /m);
        await vm.pings(3, `${quick} -s 65507 ${Address.mit}`);
      });
    }

    await t.step("lengths around the size of a fragment, with a pattern", async () => {
      for (const size of [0, 1, 8, 1471, 1472, 1473, 2952, 2953]) {
        await vm.pings(2, `-i 0.01 -s ${size} -p ff00aa5501fe ${Address.csail}`);
      }
    });

    await t.step("a flood of 5000", async () => {
      const { stdout } = await vm.ping(`-f -q -c 5000 ${Address.csail}`);
      // This line would show duplicates and errors.
      assert.match(stdout, /^5000 packets transmitted, 5000 received, 0% packet loss, time/m);
    });

    await t.step("200 hosts at once", async () => {
      const sweep = "-a -r 0 -t 2000 -i 1 -g 128.30.3.1 128.30.3.200";
      for (const bind of [`-S ${Address.vm}`, ""]) {
        const { code, stdout, stderr } = await vm.run(`fping ${bind} ${sweep}`);
        assert.deepEqual([code, stderr], [0, ""]);
        assert.equal(new Set(stdout.trimEnd().split("\n")).size, 200);
      }
    });

    await t.step("two programs with the same identifier at once", async () => {
      // Raw sockets get all replies of this host, so only the wire shows which program they are
      // for.
      await using tunnel = await Capture.start(vm.lab, {
        party: "vm",
        interface: "tun1",
        answers: Address.hop,
      });
      await using outside = await Capture.start(vm.lab, OUTSIDE);
      const pings = [Address.csail, Address.mit].map((host) => vm.ping(`-e 4711 -i 0.02 -c 20 ${host}`));
      for (const { code, stdout } of await Promise.all(pings)) assert.equal(code, 0, stdout);
      const isRequest = (line: string) => line.includes("echo request");
      for (
        const { seen, from } of [{ seen: tunnel, from: Address.vm }, { seen: outside, from: Address.exit }]
      ) {
        const requests = (await seen.packets()).filter(isRequest);
        await seen.atLeast(2 * requests.length);
        const packets = await seen.packets();
        assert.deepEqual(packets.filter((line) => !isRequest(line)).sort(), requests.map(answerTo).sort());
        assert.ok(packets.every((line) => line.includes(from)), packets.join("\n"));
        const ids = [Address.csail, Address.mit].map((host) => new Set(identifiers(packets, host)));
        const distinct = new Set(ids.flatMap((each) => [...each]));
        assert.deepEqual(
          [ids.map(({ size }) => size), distinct.size, distinct.has("4711")],
          seen === tunnel ? [[1, 1], 1, true] : [[1, 1], 2, false],
        );
      }
    });

    await t.step("programs on the host that use the exit's card themselves", async () => {
      const all = [Address.vm, "eth1"].map((bind) => vm.pings(20, `-I ${bind} -i 0.01 ${Address.csail}`));
      await Promise.all(all);
      // Without a card, they go by the main table, as without a run: only routers have a mark.
      const route = await vm.sh(`ip route get ${Address.csail} from ${Address.exit}`);
      assert.match(route, / via \S+ dev eth0 /);
    });

    await t.step("the routers themselves", async () => {
      await vm.pings(3, `-i 0.01 ${Address.hop}`);
      await vm.pings(3, `-I ${Address.vm} -i 0.01 ${Address.exit}`);
      const outsider = await vm.at("gw1", `ping -n -w 10 -c 3 -i 0.01 ${Address.exit}`);
      assertAllAnswered(outsider, 3);
    });

    assert.deepEqual(await eth0.packets(), []);
    const { stdout } = await endWell(onion);
    // The router's socket also gets replies to the host itself. It drops those, and nothing else.
    assert.deepEqual(dropsOf(stdout).filter((drop) => !/^router 1: dropped \d+ not-ours:/.test(drop)), []);
  },
});

Deno.test({
  ...needing("stage 3: returns the errors of the world unchanged", ...VM_NEEDS, "tcpdump"),
  fn: async (t) => {
    await using vm = await Vm.up();
    const complaint = (bind: string, host: string) => vm.ping(`-I ${bind} -c 1 -W 1 ${host}`);
    const hosts = ["dead.lab", "unreachable.lab", "prohibited.lab", "small.lab", "hole.lab"];
    const plain = await Promise.all(hosts.map((host) => complaint("eth1", host)));

    await using onion = await vm.stage3();
    await using eth0 = await Capture.start(vm.lab, ETH0);

    await t.step(
      "a dead host stays silent, an unreachable one is reported as without the tunnel",
      async () => {
        const through = await Promise.all(hosts.map((host) => complaint(Address.vm, host)));
        assert.deepEqual(
          through.map((said) => [said.code, errorsOf(said)]),
          plain.map((said) => [said.code, errorsOf(said)]),
        );
        assert.deepEqual(Object.fromEntries(hosts.map((host, at) => [host, errorsOf(through[at]!)])), {
          "dead.lab": [],
          "unreachable.lab": ["203.0.113.6 icmp_seq=1 Destination Host Unreachable"],
          "prohibited.lab": ["203.0.113.6 icmp_seq=1 Packet filtered"],
          "small.lab": [],
          "hole.lab": [],
        });
      },
    );

    await t.step("each TTL expires at its hop, and the onion is one hop", async () => {
      const ends = [Address.hop, Address.gw1, "198.51.100.5", "203.0.113.2", "203.0.113.6"];
      const pings = ends.map((_, at) => vm.ping(`-c 1 -t ${at + 1} ${Address.csail}`));
      assert.deepEqual(
        (await Promise.all(pings)).map(errorsOf),
        ends.map((who) => [`${who} icmp_seq=1 Time to live exceeded`]),
      );
      const [plain, through] = await Promise.all(
        ["eth1", Address.vm].map((bind) => vm.ping(`-I ${bind} -c 1 ${Address.csail}`)),
      );
      assert.match(plain!.stdout, / ttl=60 /);
      assert.match(through!.stdout, / ttl=59 /);
    });

    await t.step("a narrow link is reported, and the kernel learns its MTU", async () => {
      const whole = "-M do -s 1472";
      await vm.pings(2, `${whole} -i 0.01 ${Address.csail}`);
      assert.deepEqual(errorsOf(await vm.ping(`${whole} -c 1 small.lab`)), [
        "203.0.113.6 icmp_seq=1 Frag needed and DF set (mtu = 1280)",
      ]);
      const route = await vm.sh(`ip route get 128.30.4.20 from ${Address.vm}`);
      assert.match(route, /^128\.30\.4\.20 from 10\.0\.2\.15 dev tun1 table 9 [^]* mtu 1280 /);
      // Now the local kernel reports it.
      const again = await vm.ping(`${whole} -c 1 small.lab`);
      assert.match(again.stdout + again.stderr, /mtu ?= ?1280/);
      // 1252 bytes of data fill a packet of 1280.
      await vm.pings(2, "-M do -s 1252 -i 0.01 small.lab");
      await vm.pings(2, `-I ${Address.vm} -s 1472 -i 0.01 small.lab`);
      // A socket without an address has a table of its own, in which the kernel does not keep the
      // learned MTU. It is told each time.
      assert.deepEqual(errorsOf(await vm.ping("-s 1472 -c 1 small.lab")), [
        "203.0.113.6 icmp_seq=1 Frag needed and DF set (mtu = 1280)",
      ]);
    });

    await t.step("type of service and don't-fragment survive", async () => {
      // DF is the second bit of byte 6.
      const filter = `dst ${Address.csail} and ip[1] == 0xb8 and ip[6] & 0x40 == `;
      for (const [discovery, bit] of [["do", "0x40"], ["dont", "0"]] as const) {
        await using outside = await Capture.start(vm.lab, { ...OUTSIDE, filter: filter + bit });
        const said = await vm.pings(2, `-Q 0xb8 -M ${discovery} -i 0.01 ${Address.csail}`);
        assert.equal((await outside.packets()).length, sentBy(said));
      }
    });

    assert.deepEqual(await eth0.packets(), []);
    await endWell(onion);
  },
});

Deno.test({
  ...needing(
    "stage 3: traceroute and mtr find the onion, then each hop of the path without it",
    ...VM_NEEDS,
    "traceroute",
    "mtr",
    "tcpdump",
  ),
  fn: async () => {
    await using vm = await Vm.up();
    const trace = (words: string) => vm.run(`traceroute -I -n -q 1 -w 2 ${words}`);
    const plain: Record<string, string[]> = {};
    for (const host of [Address.csail, Address.mit]) plain[host] = hopsOf(await trace(`-i eth1 ${host}`));
    assert.deepEqual(plain[Address.csail], [
      Address.gw1,
      "198.51.100.5",
      "203.0.113.2",
      "203.0.113.6",
      Address.csail,
    ]);

    await using onion = await vm.stage3();
    await using eth0 = await Capture.start(vm.lab, ETH0);
    for (const [host, path] of Object.entries(plain)) {
      for (const bind of [`-s ${Address.vm}`, ""]) {
        const traced = await trace(`${bind} ${host}`);
        assert.deepEqual(hopsOf(traced), [Address.hop, ...path], traced.stdout);
      }
    }
    const ours = [Address.hop, ...plain[Address.csail]!];
    for (const bind of [`-a ${Address.vm}`, ""]) {
      const mtr = await vm.run(`mtr -n -r -c 3 -i 0.1 -G 1 ${bind} ${Address.csail}`);
      assert.deepEqual(reportOf(mtr), ours.map((hop) => `${hop} 0.0%`), mtr.stdout);
    }
    assert.deepEqual(await eth0.packets(), []);
    await endWell(onion);
  },
});

/** Sends from a UDP socket without a bound address. */
const SEND_UNBOUND = `
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
  for (const hostname of ["${Address.csail}", "${Address.mit}"]) {
    await socket.send(new Uint8Array(100), { transport: "udp", hostname, port: 9 });
  }
  socket.close();
`;

Deno.test({
  ...needing(
    "stage 3: refuses TCP and UDP at once, counts them, and sends them nowhere",
    ...VM_NEEDS,
    "curl",
    "traceroute",
    "tcpdump",
  ),
  fn: async (t) => {
    await using vm = await Vm.up();
    await using onion = await vm.stage3();
    await using eth0 = await Capture.start(vm.lab, ETH0);
    await using outside = await Capture.start(vm.lab, OUTSIDE);
    await using tunnel = await Capture.start(vm.lab, {
      party: "vm",
      interface: "tun1",
      answers: Address.hop,
      filter: "src 10.0.2.15",
    });

    await t.step("TCP", async () => {
      for (const bind of [`--interface ${Address.vm}`, ""]) {
        const asked = performance.now();
        const { code, stderr } = await vm.run(`curl -sv -m 5 ${bind} http://${Address.csail}/`);
        const took = performance.now() - asked;
        assert.equal(code, 7, stderr);
        assert.match(stderr, /No route to host/);
        assert.ok(took < 1000, `${took} ms`);
      }
      const traced = await vm.run(`traceroute -T -n -q 1 -w 1 -m 5 ${Address.csail}`);
      assert.deepEqual(hopsOf(traced), [`${Address.hop} !X`], traced.stdout);
    });

    await t.step("UDP", async () => {
      const traced = await vm.run(`traceroute -n -q 1 -w 1 -m 5 ${Address.csail}`);
      assert.deepEqual(hopsOf(traced), [`${Address.hop} !X`], traced.stdout);
      const sent = await vm.lab.run("vm", Deno.execPath(), "eval", "--unstable-net", SEND_UNBOUND);
      assert.equal(sent.code, 0, sent.stderr);
    });

    const refused = await tunnel.packets();
    assert.ok(refused.length >= 6, refused.join("\n"));
    assert.deepEqual(await eth0.packets(), []);
    assert.deepEqual(await outside.packets(), []);
    const { stdout } = await endWell(onion);
    assert.deepEqual(dropsOf(stdout).map((drop) => drop.replace(/:[^:]*$/, "")), [
      `proxy: dropped ${refused.length} not-carried`,
    ]);
  },
});

Deno.test({
  ...needing(
    "stage 3: keeps the kernel from resetting connections of the exit's address, and only those",
    ...VM_NEEDS,
    "curl",
  ),
  fn: async () => {
    await using vm = await Vm.up();
    /** The exit code of curl: 7 for a refused connection, 28 for a timeout. */
    const knock = (party: string, address: string) =>
      vm.at(party, `curl -s -m 0.5 http://${address}:9/`).then(({ code }) => code);
    const doors: [string, string][] = [["gw0", Address.vm], ["gw1", Address.exit], ["gw2", "192.168.202.2"]];
    const knocks = () => Promise.all(doors.map(([party, address]) => knock(party, address)));
    assert.deepEqual(await knocks(), [7, 7, 7]);
    await using onion = await vm.stage3();
    assert.deepEqual(await knocks(), [7, 28, 7]);
    await endWell(onion);
    assert.deepEqual(await knocks(), [7, 7, 7]);
  },
});

/** The line of an echo reply, from the line of its request. */
function answerTo(request: string): string {
  return request.replace(/^IP (\S+) > (\S+): ICMP echo request/, "IP $2 > $1: ICMP echo reply");
}

/** The identifiers of echo messages to and from a host. */
function identifiers(packets: string[], host: string): (string | undefined)[] {
  return packets.filter((line) => line.includes(host)).map((line) => /, id (\d+),/.exec(line)?.[1]);
}

/** The lines of a run's summary about dropped packets. */
function dropsOf(summary: string): string[] {
  return summary.match(/^.*: dropped .*$/gm) ?? [];
}
