/**
 * Stage 2 with the real executable, in a new network namespace.
 *
 *     ping ──► tun1, 10.5.51.2/24 ──► proxy ──UDP on lo──► router ──┐ echo
 *     ping ◄───────────────────────── proxy ◄───────────── router ◄─┘
 */
import assert from "node:assert/strict";
import { directLogs, logsOf, membersOf } from "./support/classic_logs.ts";
import { EMPTY_ROOT_NEEDS, EmptyRoot } from "./support/empty_root.ts";
import { Namespace } from "./support/namespace.ts";
import { childrenOf, type End, Onion, Text } from "./support/onion.ts";
import { type Ended, needing, ONION, run, scratchDirectory } from "./support/program.ts";
import { snapshot } from "./support/snapshot.ts";
import { assertAllAnswered, assertNoneLost } from "./support/tools.ts";

const STAGE_2 = ["--stage", "2"];

/**
 * Runs `ping` with a time limit. Not by its own `-w`, with which it sends more packets when a reply
 * is late. After its last packet ping may wait for only one interval, so a few packets need a
 * longer one.
 */
function ping(namespace: Namespace, ...args: string[]): Promise<Ended> {
  return namespace.run("timeout", "60", "ping", "-n", ...args);
}

/** Ends a run, and asserts that it went well. */
async function endWell(onion: Onion): Promise<End> {
  const end = await onion.end();
  assert.deepEqual([end.code, end.stderr], [0, ""]);
  return end;
}

Deno.test({
  ...needing("stage 2: four pings write the classic log files, line by line", "root", "ping"),
  fn: async () => {
    await using namespace = await Namespace.make();
    const before = await snapshot(namespace);
    await using onion = await Onion.start(STAGE_2, { namespace });
    const { line, router } = await onion.ready();
    assert.equal(line, `ready: stage 2, tun1 10.5.51.2/24, router 1 pid ${router}`);
    assertAllAnswered(await ping(namespace, "-c", "4", "-i", "0.1", "10.5.51.3"), 4);
    await endWell(onion);

    const members = await membersOf(onion, 2, 1);
    const pings = { count: 4, client: "10.5.51.2", destination: "10.5.51.3", router: 1 };
    assert.equal(members.routers[0]!.line, `router: 1, pid: ${router}, port: ${members.routers[0]!.port}`);
    assert.deepEqual(logsOf(onion, 2, members), directLogs(members, [pings], "router"));
    assert.deepEqual(await snapshot(namespace), before);
  },
});

Deno.test({
  ...needing("stage 2: answers every kind of ping, without loss or duplicate", "root", "ping", "fping"),
  fn: async (t) => {
    await using namespace = await Namespace.make();
    await using onion = await Onion.start(STAGE_2, { namespace });
    await onion.ready();

    await t.step("100 pings, 100 a second", async () => {
      assertAllAnswered(await ping(namespace, "-c", "100", "-i", "0.01", "10.5.51.7"), 100);
    });
    await t.step("every address of the block except the tunnel's own", async () => {
      const { code, stdout } = await namespace.run(
        "fping",
        "-a",
        "-r",
        "0",
        "-i",
        "1",
        "-g",
        "10.5.51.1",
        "10.5.51.254",
      );
      assert.equal(code, 0);
      assert.equal(new Set(stdout.trimEnd().split("\n")).size, 254);
    });
    await t.step("max length, in fragments both ways", async () => {
      const said = await ping(namespace, "-c", "5", "-i", "0.1", "-s", "65507", "10.5.51.7");
      assertAllAnswered(said, 5);
      assert.match(said.stdout, /^65515 bytes from 10\.5\.51\.7: icmp_seq=5 /m);
    });
    await t.step("lengths around the size of a fragment", async () => {
      // 1472 bytes of data fill a packet of 1500. A fragment holds 1480, the largest multiple of 8.
      for (const size of [0, 1, 7, 8, 1471, 1472, 1473, 2952, 2953]) {
        assertAllAnswered(await ping(namespace, "-c", "2", "-i", "0.2", "-s", `${size}`, "10.5.51.7"), 2);
      }
    });
    await t.step("with a pattern", async () => {
      const said = await ping(
        namespace,
        "-c",
        "3",
        "-i",
        "0.2",
        "-s",
        "100",
        "-p",
        "ff00aa5501fe",
        "10.5.51.7",
      );
      assertAllAnswered(said, 3);
      // ping reports the first byte that differs.
      assert.doesNotMatch(said.stdout, /wrong data byte/);
    });
    await t.step("with a type of service", async () => {
      assertAllAnswered(await ping(namespace, "-c", "2", "-i", "0.2", "-Q", "0xb8", "10.5.51.7"), 2);
    });
    await t.step("with the record route option", async () => {
      assertAllAnswered(await ping(namespace, "-c", "2", "-i", "0.2", "-R", "10.5.51.7"), 2);
    });
    await t.step("with a TTL of 1", async () => {
      assertAllAnswered(await ping(namespace, "-c", "2", "-i", "0.2", "-t", "1", "10.5.51.7"), 2);
    });

    const { stdout } = await endWell(onion);
    assert.doesNotMatch(stdout, /refused|reassembly|overlap|checksum|bad-length/);
  },
});

/**
 * The number of lines about packets in a log file, and the number of lines that it reports as lost.
 */
function packetLines(lines: readonly string[]): { written: number; lost: number } {
  const [, lost = "0"] = /^(\d+) lines lost$/.exec(lines.at(-1)!) ?? [];
  return { written: lines.filter((line) => line.startsWith("ICMP ")).length, lost: Number(lost) };
}

Deno.test({
  ...needing("stage 2: a flood loses no packet, and the log counts each line that it lost", "root", "ping"),
  fn: async () => {
    await using namespace = await Namespace.make();
    await using onion = await Onion.start(STAGE_2, { namespace });
    await onion.ready();
    assertNoneLost(await ping(namespace, "-f", "-q", "-c", "20000", "10.5.51.8"), 20_000);
    const { stdout } = await endWell(onion);
    for (
      const [party, file, expected] of [["proxy", "proxy", 40_000], ["router 1", "router1", 20_000]] as const
    ) {
      const { written, lost } = packetLines(onion.log(`stage2.${file}.out`));
      assert.equal(written + lost, expected, party);
      assert.equal(stdout.includes(`${party}: ${lost} log lines lost, no packets\n`), lost > 0);
    }
  },
});

Deno.test({
  ...needing(
    "stage 2: a full disk costs log lines but no packets, and is reported",
    "root",
    "namespaces",
    "ping",
  ),
  fn: async () => {
    await using namespace = await Namespace.make();
    const onSmallDisk = [
      "unshare",
      "--mount",
      "sh",
      "-euc",
      'mount -t tmpfs -o size=64k tmpfs /mnt\nexec "$@"',
      "sh",
    ];
    await using onion = await Onion.start([...STAGE_2, "--log-dir", "/mnt"], { namespace, via: onSmallDisk });
    await onion.ready();
    assertNoneLost(await ping(namespace, "-f", "-q", "-c", "3000", "10.5.51.7"), 3000);
    const { code, stderr } = await onion.end();
    assert.equal(code, 0);
    const why = "is incomplete: No space left on device";
    const proxy = stderr.split("\n").filter((line) => line.startsWith("onion proxy: "));
    const router = stderr.split("\n").filter((line) => line.startsWith("onion router 1: "));
    assert.equal(proxy.length, 1, stderr);
    assert.ok(proxy[0]!.includes(`warning: the log file /mnt/stage2.proxy.out ${why}`), stderr);
    assert.equal(router.length, 1, stderr);
    assert.ok(router[0]!.includes(`warning: the log file /mnt/stage2.router1.out ${why}`), stderr);
  },
});

Deno.test({
  ...needing("stage 2: tcpdump finds no fault in the replies", "root", "ping", "tcpdump"),
  fn: async () => {
    await using namespace = await Namespace.make();
    await using onion = await Onion.start(STAGE_2, { namespace });
    await onion.ready();
    const [command = "", ...args] = [...namespace.enter, "tcpdump", "-i", "tun1", "-nvvl", "-c", "8", "icmp"];
    const tcpdump = new Deno.Command(command, { args, stdout: "piped", stderr: "piped" }).spawn();
    const [out, err] = [new Text(tcpdump.stdout), new Text(tcpdump.stderr)];
    await err.find(/listening on tun1/);
    // One packet each way, then three fragments each way.
    for (const size of ["56", "3000"]) {
      assertAllAnswered(
        await ping(namespace, "-c", "1", "-e", "4711", "-Q", "0xb8", "-s", size, "10.5.51.7"),
        1,
      );
    }
    await Promise.all([tcpdump.status, out.whole, err.whole]);
    await endWell(onion);

    const packets = out.text.split(/\n(?=\S)/).map((packet) => packet.replaceAll(/\s+/g, " "));
    assert.equal(packets.length, 8, out.text);
    for (const length of [64, 1480]) {
      const reply = `10.5.51.7 > 10.5.51.2: ICMP echo reply, id 4711, seq 1, length ${length}`;
      assert.ok(packets.some((packet) => packet.includes(reply)), out.text);
    }
    for (const packet of packets) {
      assert.match(packet, /\(tos 0xb8, ttl 64, /);
      // tcpdump verifies the checksums of all headers, and of unfragmented messages.
      assert.doesNotMatch(packet, /bad cksum|wrong/);
    }
  },
});

Deno.test({
  ...needing("stage 2: the summary counts what the router does not answer", "root", "ping", "bash"),
  fn: async () => {
    await using namespace = await Namespace.make({ ipv6: false });
    await using onion = await Onion.start(STAGE_2, { namespace });
    await onion.ready();
    const ports = await onion.ports(2);

    // The kernel answers for the tunnel's own address, so no packet enters the tunnel.
    assertAllAnswered(await ping(namespace, "-c", "3", "-i", "0.2", "10.5.51.2"), 3);
    assertAllAnswered(await ping(namespace, "-c", "2", "-i", "0.2", "10.5.51.1"), 2);
    // No host has the network's address or its broadcast address.
    for (const address of ["10.5.51.0", "10.5.51.255"]) {
      const { stdout } = await namespace.run("ping", "-b", "-n", "-c", "1", "-W", "0.1", address);
      assert.match(stdout, /^1 packets transmitted, 0 received/m);
    }
    await send(namespace, "10.5.51.7", 9);
    for (const port of [ports.proxy, ports.router]) await send(namespace, "127.0.0.1", port);
    // The last packet: its reply shows that all others have been handled.
    assertAllAnswered(await ping(namespace, "-c", "1", "10.5.51.1"), 1);

    const { stdout } = await endWell(onion);
    const [, ended, ...counts] = stdout.trimEnd().split("\n");
    assert.match(ended!, /^ended by SIGINT after \d+\.\d s$/);
    assert.deepEqual(counts, [
      "proxy: 6 packets in from the tunnel, 3 out to it; 5 cells sent, 3 received",
      "proxy: dropped 1 not-carried: a protocol that this stage does not carry",
      "proxy: dropped 1 unknown-peer: a datagram from a stranger",
      "router 1: 5 cells received, 3 sent",
      "router 1: dropped 2 bad-destination: the destination is not a host of the tunnel's block, or is the tunnel's own address",
      "router 1: dropped 1 unknown-peer: a datagram from a stranger",
    ]);
  },
});

/** Sends a UDP datagram in a namespace. */
async function send(namespace: Namespace, address: string, port: number): Promise<void> {
  const { code, stderr } = await namespace.run("bash", "-c", `echo onion >/dev/udp/${address}/${port}`);
  assert.equal(code, 0, stderr);
}

Deno.test({
  ...needing("stage 2: counts and drops IPv6 from the tunnel", "root", "ping"),
  fn: async () => {
    await using namespace = await Namespace.make();
    await using onion = await Onion.start([...STAGE_2, "--json"], { namespace });
    await onion.stdout.find(/"event":"ready"/);
    await namespace.run("ping", "-6", "-c", "3", "-i", "0.2", "-W", "0.1", "ff02::2%tun1");
    assertAllAnswered(await ping(namespace, "-c", "1", "10.5.51.7"), 1);
    const { stdout } = await endWell(onion);
    const { counters } = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
    // The kernel sends some by itself too.
    assert.ok(counters.proxy["not-ipv4"] >= 3, stdout);
    assert.equal(counters.proxy["tun-in"], counters.proxy["not-ipv4"] + 1);
    assert.deepEqual(counters["router 1"], { "link-in": 1, "link-out": 1 });
  },
});

Deno.test({
  ...needing(
    "stage 2 with --json: writes each packet as an event, and each line as an object",
    "root",
    "ping",
  ),
  fn: async () => {
    await using namespace = await Namespace.make();
    await using onion = await Onion.start([...STAGE_2, "--json"], { namespace });
    await onion.stdout.find(/"event":"ready"/);
    const [router] = childrenOf(onion.pid);
    assertAllAnswered(await ping(namespace, "-c", "2", "-i", "0.2", "10.5.51.3"), 2);
    const { stdout } = await endWell(onion);
    const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
    for (const line of lines) assert.equal(new Date(line.time).toISOString(), line.time);
    const [ready, ...events] = lines.map(({ time: _, ...line }) => line);
    const [proxyPort, routerPort] = onion.log("stage2.proxy.out").map((line) => Number(/\d+$/.exec(line)));
    assert.deepEqual(ready, {
      event: "ready",
      stage: 2,
      proxyPort,
      tun: "tun1",
      address: "10.5.51.2/24",
      routers: [{ router: 1, pid: router }],
    });
    const ended = events.pop()!;
    assert.deepEqual([ended.event, ended.by, ended.rejected], ["ended", "SIGINT", {
      proxy: 0,
      "router 1": 0,
    }]);
    const { id } = events[0]!;
    const passed = [1, 2].flatMap((seq) => {
      const packet = { length: 84, id, seq };
      const [host, other] = ["10.5.51.2", "10.5.51.3"];
      return [
        { event: "icmp-from-tunnel", source: host, destination: other, type: 8, ...packet },
        { event: "icmp-from-port", port: routerPort, source: other, destination: host, type: 0, ...packet },
      ];
    });
    assert.deepEqual(events, passed);
    assert.ok(Number.isInteger(id));
    const times = lines.map(({ time }) => time);
    assert.deepEqual(times, times.toSorted());
    const between = Date.parse(times[3]) - Date.parse(times[1]);
    assert.ok(between >= 150 && between < 1000, `0.2 s lie between two pings, not ${between} ms`);
  },
});

Deno.test({
  ...needing("stage 2: takes another interface name and block", "root", "ping"),
  fn: async () => {
    await using namespace = await Namespace.make();
    const before = await snapshot(namespace);
    await using onion = await Onion.start([...STAGE_2, "--tun", "other0", "--address", "10.9.0.1/16"], {
      namespace,
    });
    const { line, router } = await onion.ready();
    assert.equal(line, `ready: stage 2, other0 10.9.0.1/16, router 1 pid ${router}`);
    assert.match(await namespace.ip("-4", "-o", "address", "show", "other0"), / inet 10\.9\.0\.1\/16 /);
    for (const address of ["10.9.0.2", "10.9.0.255", "10.9.1.0", "10.9.255.254"]) {
      assertAllAnswered(await ping(namespace, "-c", "1", address), 1);
    }
    // A second run in the same namespace.
    await using second = await Onion.start(STAGE_2, { namespace });
    await second.ready();
    assertAllAnswered(await ping(namespace, "-c", "1", "10.5.51.7"), 1);
    await endWell(second);
    assertAllAnswered(await ping(namespace, "-c", "1", "10.9.0.2"), 1);
    await endWell(onion);
    assert.deepEqual(await snapshot(namespace), before);
  },
});

Deno.test({
  ...needing("stage 2: creates log files anew in --log-dir, for the user behind sudo", "root"),
  fn: async () => {
    await using namespace = await Namespace.make();
    using scratch = scratchDirectory();
    const files = ["stage2.proxy.out", "stage2.router1.out"];
    const logs = `${scratch.path}/logs`;
    Deno.mkdirSync(logs);
    // Another user's symbolic links are not followed.
    for (const file of files) {
      Deno.writeTextFileSync(`${scratch.path}/precious ${file}`, "precious\n");
      Deno.symlinkSync(`../precious ${file}`, `${logs}/${file}`);
    }
    await using onion = await Onion.start([...STAGE_2, "--log-dir", logs], {
      namespace,
      env: { SUDO_UID: "65534", SUDO_GID: "12345" },
    });
    const { router } = await onion.ready();
    await endWell(onion);
    for (const file of files) {
      assert.equal(Deno.readTextFileSync(`${scratch.path}/precious ${file}`), "precious\n");
      const { isFile, uid, gid } = Deno.lstatSync(`${logs}/${file}`);
      assert.deepEqual([isFile, uid, gid], [true, 65534, 12345]);
      assert.match(
        Deno.readTextFileSync(`${logs}/${file}`),
        new RegExp(`^router: 1, pid: ${router}, port: \\d+$`, "m"),
      );
    }
    assert.deepEqual([...Deno.readDirSync(onion.directory)].map(({ name }) => name), ["hold"]);
  },
});

/** The TUN interface as a run needs it. */
const COMPLETE = /[<,]UP.* inet 10\.5\.51\.2\/24 /s;

/** TUN interfaces made by hand, and what they are during a run. */
const HANDMADE: Readonly<Record<string, { commands: string[]; during: RegExp }>> = {
  "as in the course: changes nothing": {
    commands: ["ip tuntap add dev tun1 mode tun", "ifconfig tun1 10.5.51.2/24 up"],
    during: COMPLETE,
  },
  "with its address, and up: changes nothing": {
    commands: [
      "ip tuntap add dev tun1 mode tun",
      "ip address add 10.5.51.2/24 dev tun1",
      "ip link set tun1 up",
    ],
    during: COMPLETE,
  },
  "bare: completes it, and restores it": {
    commands: ["ip tuntap add dev tun1 mode tun"],
    during: COMPLETE,
  },
  "without an address: completes it, and restores it": {
    commands: ["ip tuntap add dev tun1 mode tun", "ip link set tun1 up"],
    during: COMPLETE,
  },
  "down: completes it, and restores it": {
    commands: ["ip tuntap add dev tun1 mode tun", "ip address add 10.5.51.2/24 dev tun1"],
    during: COMPLETE,
  },
  "with another address, which stays": {
    commands: [
      "ip tuntap add dev tun1 mode tun",
      "ip address add 192.0.2.1/32 dev tun1",
      "ip link set tun1 up",
    ],
    during: /[<,]UP.* inet 192\.0\.2\.1\/32 .* inet 10\.5\.51\.2\/24 /s,
  },
  "with an MTU of 576": {
    commands: ["ip tuntap add dev tun1 mode tun", "ip link set tun1 mtu 576"],
    during: /[<,]UP.* mtu 576 .* inet 10\.5\.51\.2\/24 /s,
  },
  "with an MTU of 65535": {
    commands: ["ip tuntap add dev tun1 mode tun", "ip link set tun1 mtu 65535"],
    during: /[<,]UP.* mtu 65535 .* inet 10\.5\.51\.2\/24 /s,
  },
  "for another user": {
    commands: ["ip tuntap add dev tun1 mode tun user 65534 group 65534"],
    during: COMPLETE,
  },
};

Deno.test({
  ...needing("stage 2: uses an existing TUN interface, and leaves it as it was", "root", "ping"),
  fn: async (t) => {
    for (const [name, { commands, during }] of Object.entries(HANDMADE)) {
      const words = commands.map((command) => command.split(" "));
      await t.step({
        ...needing(name, ...words.map(([program]) => program!)),
        fn: async () => {
          await using namespace = await Namespace.make({ ipv6: false });
          for (const [program, ...args] of words) {
            assert.equal((await namespace.run(program!, ...args)).code, 0);
          }
          const before = await snapshot(namespace);
          await using onion = await Onion.start(STAGE_2, { namespace });
          await onion.ready();
          assert.match(await namespace.ip("address", "show", "tun1"), during);
          for (const size of ["3000", "65507"]) {
            assertAllAnswered(await ping(namespace, "-c", "2", "-i", "0.2", "-s", size, "10.5.51.7"), 2);
          }
          await endWell(onion);
          assert.deepEqual(await snapshot(namespace), before);
        },
      });
    }
  },
});

Deno.test({
  ...needing("stage 2: runs from a classic config file", "root", "ping"),
  fn: async () => {
    await using namespace = await Namespace.make();
    using scratch = scratchDirectory();
    Deno.writeTextFileSync(`${scratch.path}/lab.conf`, "# a stage\nstage 2\nnum_routers\t 1\n");
    Deno.mkdirSync(`${scratch.path}/logs`);
    const words = ["lab.conf", "--log-dir", "logs"];
    await using onion = await Onion.start(words, { namespace, directory: scratch.path });
    await onion.ready();
    assertAllAnswered(await ping(namespace, "-c", "1", "10.5.51.254"), 1);
    await endWell(onion);
    assert.equal(onion.log("logs/stage2.router1.out").length, 2);
  },
});

/** What a user does in two terminals, as a script: start, wait for `ready`, ping, end. */
const IN_A_TERMINAL = `
  mkfifo said
  ./onion --stage 2 >said &
  exec 3<said
  read -r ready <&3
  echo "$ready"
  ping -n -c 4 -i 0.2 -w 10 10.5.51.3
  kill -TERM $!
  wait $!
  cat <&3
`;

Deno.test({
  ...needing("stage 2: runs alone in an empty root", ...EMPTY_ROOT_NEEDS),
  fn: async () => {
    await using root = await EmptyRoot.enter();
    await Deno.mkdir(`${root.path}/alone`);
    await root.copyIn(ONION, "/alone/onion");
    const script = ["timeout", "60", "sh", "-euc", `cd /alone\n${IN_A_TERMINAL}`] as const;
    const { code, stdout, stderr } = await run(...root.inside(...script));
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^ready: stage 2, tun1 10\.5\.51\.2\/24, router 1 pid \d+$/m);
    assert.match(stdout, /^4 packets transmitted, 4 received, 0% packet loss/m);
    assert.match(stdout, /^ended by SIGTERM after /m);
    const log = Deno.readTextFileSync(`${root.path}/alone/stage2.router1.out`);
    assert.equal(log.trimEnd().split("\n").length, 5);
  },
});

Deno.test({
  ...needing("stage 2: proxy and router are small while idle", "root"),
  fn: async () => {
    await using namespace = await Namespace.make();
    await using onion = await Onion.start(STAGE_2, { namespace });
    const { router } = await onion.ready();
    for (const pid of [onion.pid, router]) {
      const [, kilobytes] = /^VmRSS:\s*(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))!;
      assert.ok(Number(kilobytes) < 80_000, `${kilobytes} kB`);
    }
    await endWell(onion);
  },
});
