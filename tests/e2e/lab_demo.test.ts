/**
 * Demos, with the real executable and real tools: what they print about a stage, and which captures
 * they keep.
 */
import assert from "node:assert/strict";
import { readPcapng } from "../../src/pcap/pcapng_reader.ts";
import { Held } from "./support/held.ts";
import { LAB_NEEDS, Machine } from "./support/lab.ts";
import { needing, ONION, run, scratchDirectory } from "./support/program.ts";

/** The rows of a demo's table under this heading: from, to, what, bytes, and the last column. */
function rowsOf(text: string, heading: string): string[][] {
  const [part] = text.split("\n\n").filter((part) => part.startsWith(heading));
  const rows: string[][] = [];
  for (const line of part?.split("\n").slice(2) ?? []) {
    const cells = line.trim().split(/ {2,}/);
    if (cells.length > 1) rows.push([...cells.slice(0, 4), cells.slice(5).join()]);
    // Text that does not fit continues below.
    else rows.at(-1)![4] += ` ${cells}`;
  }
  return rows;
}

/** The legs of a ping by these routers to the world and back. */
function wholeWay(path: readonly string[]): string[] {
  const parties = ["ping", "proxy", ...path, "world"];
  return [parties, parties.toReversed()].flatMap((way) => way.slice(1).map((to, at) => `${way[at]} → ${to}`));
}

Deno.test({
  ...needing("demo: shows a stage, and leaves the lab as it found it", ...LAB_NEEDS, "ping"),
  async fn(t) {
    await using machine = await Machine.make();
    const before = await machine.snapshot();

    await t.step("stage 1, without a lab", async () => {
      const { code, stdout, stderr } = await machine.onion("lab", "demo", "--stage", "1");
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, /^ 1\. The proxy starts router 1 as process \d+\.$/m);
      assert.deepEqual(await machine.snapshot(), before);
    });

    assert.equal((await machine.onion("lab", "up")).code, 0);
    const up = await machine.snapshot();

    await t.step("stage 2, in words", async () => {
      const { code, stdout, stderr } = await machine.onion("lab", "demo", "--stage", "2");
      assert.deepEqual([code, stderr], [0, ""]);
      assert.deepEqual(rowsOf(stdout, "The first ping"), [
        ["ping", "proxy", "IP packet", "84", "10.5.51.2 → 10.5.51.7 echo request"],
        ["proxy", "router 1", "relay data 0x01", "92", "10.5.51.2 → 10.5.51.7 echo request"],
        ["router 1", "proxy", "return data 0x01", "92", "10.5.51.7 → 10.5.51.2 echo reply"],
        ["proxy", "ping", "IP packet", "84", "10.5.51.7 → 10.5.51.2 echo reply"],
      ]);
      assert.match(stdout, /^4 of 4 pings were answered, after [\d.]+ ms on average\.$/m);
      assert.match(stdout, /^Nothing left the VM: no link of the lab carried a packet\.$/m);
    });

    await t.step("stage 3, as objects", async () => {
      const { code, stdout, stderr } = await machine.onion("lab", "demo", "--stage", "3", "--json");
      assert.deepEqual([code, stderr], [0, ""]);
      const objects = stdout.trim().split("\n").map((line) => JSON.parse(line));
      for (const round of [1, 2, 3, 4]) {
        const legs = objects.filter((object) => object.event === "packet" && object.round === round);
        assert.deepEqual(legs.map(({ from, to, source }) => `${source}: ${from} → ${to}`), [
          "10.0.2.15: ping → proxy",
          "10.0.2.15: proxy → router 1",
          "192.168.201.2: router 1 → world",
          "128.30.2.155: world → router 1",
          "128.30.2.155: router 1 → proxy",
          "128.30.2.155: proxy → ping",
        ]);
      }
      const { sent, received } = objects.find(({ event }) => event === "ping");
      assert.deepEqual([sent, received], [4, 4]);
      const used = objects.filter(({ event, out }) => event === "link" && out >= 4);
      assert.deepEqual(used.map(({ from, to }) => `${from} → ${to}`), [
        "vm → gw1",
        "gw1 → net1",
        "net1 → net2",
        "net2 → net3",
        "net3 → csail",
      ]);
    });

    await t.step("stage 5, in words: every router reads everything except whose address it is", async () => {
      const { code, stdout, stderr } = await machine.onion("lab", "demo", "--stage", "5");
      assert.deepEqual([code, stderr], [0, ""]);
      const rows = rowsOf(stdout, "The first ping");
      const path = rows.slice(1, 4).map(([, to]) => to!);
      assert.deepEqual(rows.map(([from, to]) => `${from} → ${to}`), wholeWay(path));
      const seenFrom = ["10.0.2.15", "10.0.2.15", ...path.map((router) => `192.168.20${router.slice(-1)}.2`)];
      assert.deepEqual(
        rows.map(([, , , , sight]) => sight),
        [
          ...seenFrom.map((source) => `${source} → 128.30.2.155 echo request`),
          ...seenFrom.toReversed().map((source) => `128.30.2.155 → ${source} echo reply`),
        ],
      );
      assert.match(stdout, /^Nothing is sealed: every router, .*, can read everything\.$/m);
      assert.match(stdout, /^4 of 4 pings were answered, /m);
    });

    await t.step("stage 6, in words: a path of three, and who can read what", async () => {
      const { code, stdout, stderr } = await machine.onion("lab", "demo", "--stage", "6");
      assert.deepEqual([code, stderr], [0, ""]);
      const rows = rowsOf(stdout, "The first ping");
      const path = rows.slice(1, 4).map(([, to]) => to!);
      assert.equal(new Set(path).size, 3);
      assert.deepEqual(rows.map(([from, to]) => `${from} → ${to}`), wholeWay(path));
      // 84 bytes of packet, 8 of cell header, 24 for each layer.
      const bytes = rows.map(([, , , bytes]) => bytes);
      assert.deepEqual(bytes, ["84", "164", "140", "116", "84", "84", "116", "140", "164", "84"]);
      const exit = `192.168.20${path[2]!.slice(-1)}.2`;
      assert.deepEqual(rows.map(([, , , , sight]) => sight), [
        "10.0.2.15 → 128.30.2.155 echo request",
        "only the next hop: 132 bytes are sealed for others",
        "only the next hop: 108 bytes are sealed for others",
        "0.0.0.0 → 128.30.2.155 echo request: but not the sender",
        `${exit} → 128.30.2.155 echo request`,
        `128.30.2.155 → ${exit} echo reply`,
        "only the next hop: 108 bytes are sealed for others",
        "only the next hop: 132 bytes are sealed for others",
        "128.30.2.155 → 10.0.2.15 echo reply",
        "128.30.2.155 → 10.0.2.15 echo reply",
      ]);
      // Create and extend: two cells for the first router, four for the second, six for the third.
      const steps = rowsOf(stdout, "How the circuit is built").map(([from, to, what, bytes]) =>
        `${from} → ${to}: ${what!.replace(/ 0x\d+$/, "")}, ${bytes}`
      );
      const [a, b, c] = path;
      // On a busy machine a build may time out and start again, so the last build counts.
      assert.deepEqual(
        steps.slice(steps.findLastIndex((step) => step.startsWith("proxy → ") && step.endsWith("56"))),
        [
          `proxy → ${a}: handshake, 56`,
          `${a} → proxy: handshake, 56`,
          `proxy → ${a}: sealed extend, 86`,
          `${a} → ${b}: handshake, 56`,
          `${b} → ${a}: handshake, 56`,
          `${a} → proxy: sealed extend done, 80`,
          `proxy → ${a}: sealed extend, 110`,
          `${a} → ${b}: sealed extend, 86`,
          `${b} → ${c}: handshake, 56`,
          `${c} → ${b}: handshake, 56`,
          `${b} → ${a}: sealed extend done, 80`,
          `${a} → proxy: sealed extend done, 104`,
        ],
      );
      assert.deepEqual(stdout.split("\n").filter((line) => line.length > 130), []);
      assert.match(stdout, /^4 of 4 pings were answered, /m);
    });

    await t.step("stage 6, as a Mermaid sequence diagram", async () => {
      const { code, stdout, stderr } = await machine.onion("lab", "demo", "--stage", "6", "--mermaid");
      assert.deepEqual([code, stderr], [0, ""]);
      const [head, ...lines] = stdout.trimEnd().split("\n");
      assert.equal(head, "sequenceDiagram");
      const cast = lines.flatMap((line) => /^ {2}participant (\w+) as /.exec(line)?.[1] ?? []);
      assert.match(cast.join(" "), /^ping proxy(?: router\d){3,4} world$/);
      const arrows = lines.flatMap((line) => {
        const [, from, to] = /^ {2}(\w+)-?->>(\w+): [^;#]+$/.exec(line) ?? [];
        return from === undefined ? [] : [[from, to!]];
      });
      assert.ok(arrows.flat().every((party) => cast.includes(party)), stdout);
      // At least three routers come up, at least twelve cells build the circuit, and a ping crosses
      // ten links.
      assert.ok(arrows.length >= 3 * 2 + 12 + 10, stdout);
      const notes = lines.filter((line) => /^ {2}Note over \w+: [^;#]+$/.test(line));
      assert.equal(cast.length + arrows.length + notes.length, lines.length, "nothing but these");
    });

    await t.step("a stage that does not come up, with its error", async () => {
      // Another run already has the tunnel's address.
      await machine.onion("lab", "exec", "ip", "address", "add", "10.5.51.2/24", "dev", "eth6");
      const { code, stdout, stderr } = await machine.onion("lab", "demo", "--stage", "2");
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(
        stderr,
        /^onion: stage 2 failed in the lab: 10\.5\.51\.2 is taken: eth6 has 10\.5\.51\.2\/24.*\n$/,
      );
    });

    assert.deepEqual(await machine.snapshot(), up);
    assert.equal((await machine.onion("lab", "down")).code, 0);

    await t.step("a demo that is interrupted", async () => {
      using scratch = scratchDirectory();
      const ping = await Held.make("ping", scratch.path);
      const demo = machine.spawn([ONION, "lab", "demo", "--stage", "2"], { env: ping.env, detached: true });
      using _begun = await ping.begun(demo);
      Deno.kill(-demo.pid, "SIGINT");
      const { code, stdout, stderr } = await demo.output();
      assert.deepEqual([code, stdout.length, stderr.length], [0, 0, 0]);
      assert.deepEqual(await machine.snapshot(), before);
    });
  },
});

Deno.test({
  ...needing("demo: keeps its captures with --pcap", ...LAB_NEEDS, "ping", "tcpdump"),
  async fn(t) {
    await using machine = await Machine.make();
    using scratch = scratchDirectory();
    assert.equal((await machine.onion("lab", "up")).code, 0);

    /** Runs a demo as under sudo, and reads the lines of every file that it leaves. */
    const demo = async (stage: number): Promise<Record<string, string[]>> => {
      const directory = `${scratch.path}/stage${stage}`;
      const command = [ONION, "lab", "demo", "--stage", `${stage}`, "--pcap", directory, "--json"];
      const { code, stdout, stderr } = await machine.run(command, {
        env: { SUDO_UID: "65534", SUDO_GID: "12345" },
      });
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, /^\{"event":"demo","stage":\d\}$/m);
      const names = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
      for (const path of [directory, ...names.map((name) => `${directory}/${name}`)]) {
        const { uid, gid } = Deno.statSync(path);
        assert.deepEqual([uid, gid], [65534, 12345], path);
      }
      const read = names.map(async (name) => {
        const { code, stdout, stderr } = await run("tcpdump", ["-n", "-r", `${directory}/${name}`]);
        assert.equal(code, 0, `${name}: ${stderr}`);
        return [name, stdout.split("\n").filter(Boolean)] as const;
      });
      return Object.fromEntries(await Promise.all(read));
    };

    await t.step("stage 2: the tunnel, the link, and the router", async () => {
      const files = await demo(2);
      assert.deepEqual(Object.keys(files), [
        "proxy-router1.pcapng",
        "router1.inside.pcapng",
        "tunnel.pcapng",
      ]);
      for (const lines of Object.values(files)) assert.equal(lines.length, 8);
    });

    await t.step("stage 6: every link and every router, each with its part of the truth", async () => {
      const files = await demo(6);
      const links = ["proxy", "router1", "router2", "router3", "router4"].flatMap((one, at, all) =>
        all.slice(at + 1).map((other) => `${one}-${other}`)
      );
      const sights = [1, 2, 3, 4].flatMap((number) => [`router${number}.inside`, `router${number}.world`]);
      const expected = [...links, ...sights, "tunnel"].map((name) => `${name}.pcapng`);
      assert.deepEqual(Object.keys(files).sort(), expected.sort());
      // A party that sees both addresses knows who talks to whom.
      const knows = Object.entries(files).filter(([, lines]) =>
        lines.some((line) => line.includes("10.0.2.15") && line.includes("128.30.2.155"))
      );
      assert.deepEqual(knows.map(([name]) => name), ["tunnel.pcapng"]);
      const exits = Object.keys(files).filter((name) =>
        name.endsWith(".world.pcapng") && files[name]!.length > 0
      );
      assert.equal(exits.length, 1);
      const middles = Object.values(files).filter((lines) =>
        lines.some((line) => line.includes("ip-proto-253"))
      );
      assert.equal(middles.length, 2);
    });

    await t.step("captures name the addresses for Wireshark", () => {
      const items = [...readPcapng(Deno.readFileSync(`${scratch.path}/stage6/proxy-router1.pcapng`))];
      const names = items.flatMap((item) => item.kind === "names" ? item.names : []);
      for (const name of ["proxy", "router1", "vm.lab", "eth1.vm.lab", "www.csail.mit.edu"]) {
        assert.ok(names.includes(name), name);
      }
    });

    await t.step("a directory that cannot be created: runs nothing", async () => {
      const command = ["lab", "demo", "--stage", "2", "--pcap", `${scratch.path}/no/such`];
      const { code, stdout, stderr } = await machine.onion(...command);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^onion: cannot write captures to .*; choose another directory with --pcap\n$/);
    });
    assert.equal((await machine.onion("lab", "down")).code, 0);
  },
});
