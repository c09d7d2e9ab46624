/**
 * The practice network, with the real executable and real tools, over plain kernel routes: no stage runs in it here.
 */
import assert from "node:assert/strict";
import { plan } from "../../src/lab/plan.ts";
import { NO_FAULTS, topology } from "../../src/lab/topology.ts";
import { readPcapng } from "../../src/pcap/pcapng_reader.ts";
import { Lab, LAB_NEEDS, Machine } from "./support/lab.ts";
import { type Ended, needing, ONION, run, scratchDirectory } from "./support/program.ts";

const NAMESPACES = plan(topology(NO_FAULTS)).namespaces;

/** One packet, and at most a second for its reply. */
const PING = ["ping", "-n", "-c", "1", "-W", "1", "-w", "1"];

/** What ping says about replies and losses. */
function received({ stdout }: Ended): number {
  return Number(/(\d+) received/.exec(stdout)?.[1]);
}

Deno.test({
  ...needing(
    "in the lab, real tools find what a user expects",
    ...LAB_NEEDS,
    "ping",
    "traceroute",
    "fping",
    "getent",
  ),
  async fn(t) {
    await using lab = await Lab.up();
    const vm = (...command: string[]) => lab.run("vm", ...command);

    await t.step("names resolve, and no name is looked up elsewhere", async () => {
      assert.match(
        (await vm("getent", "hosts", "www.csail.mit.edu")).stdout,
        /^128\.30\.2\.155 +www\.csail\.mit\.edu$/m,
      );
      assert.match((await vm("getent", "hosts", "18.9.22.69")).stdout, /web\.mit\.edu/);
      assert.equal((await vm("getent", "hosts", "www.example.com")).stdout, "");
    });

    await t.step("ping reaches a host behind NAT and five hops", async () => {
      const ping = await vm("ping", "-c", "4", "-i", "0.05", "-w", "5", "www.csail.mit.edu");
      assert.equal(received(ping), 4);
      assert.equal(
        [...ping.stdout.matchAll(/from www\.csail\.mit\.edu \(128\.30\.2\.155\).* ttl=60 /g)].length,
        4,
      );
    });

    await t.step("every card of the VM has a gateway of its own that translates", async () => {
      const cards = [0, 1, 2, 3, 4, 5, 6].map((number) => vm(...PING, "-I", `eth${number}`, "128.30.2.155"));
      assert.deepEqual((await Promise.all(cards)).map(received), cards.map(() => 1));
      // Nobody out there knows a way to the VM's own addresses, so it was not they that were answered.
      const { stderr } = await lab.run("net2", "ip", "route", "get", "10.0.2.15");
      assert.match(stderr, /unreachable/);
    });

    await t.step("traceroute finds each router by name", async () => {
      const { stdout } = await vm("traceroute", "-I", "-q", "1", "-w", "1", "www.csail.mit.edu");
      assert.deepEqual([...stdout.matchAll(/^ *\d+ {2}(.*?) {2}\d/gm)].map(([, hop]) => hop), [
        "gw0.lab (10.0.2.2)",
        "net1.lab (198.51.100.1)",
        "net2.lab (203.0.113.2)",
        "net3.lab (203.0.113.6)",
        "www.csail.mit.edu (128.30.2.155)",
      ]);
    });

    await t.step("200 hosts answer at once", async () => {
      const { stdout } = await vm(
        "fping",
        "-a",
        "-r",
        "0",
        "-t",
        "2000",
        "-i",
        "1",
        "-g",
        "128.30.3.1",
        "128.30.3.200",
      );
      assert.equal(stdout.trim().split("\n").length, 200);
    });

    await t.step("a packet of 20,000 bytes arrives", async () => {
      assert.equal(received(await vm(...PING, "-s", "20000", "www.csail.mit.edu")), 1);
    });

    await t.step("the dead stay dead, each in its own way", async () => {
      const ways = {
        "dead.lab": [],
        "unreachable.lab": ["203.0.113.6 icmp_seq=1 Destination Host Unreachable"],
        "prohibited.lab": ["203.0.113.6 icmp_seq=1 Packet filtered"],
        // Nobody's: not a host's, not a router's.
        "203.0.113.99": ["203.0.113.2 icmp_seq=1 Destination Net Unreachable"],
        "198.51.100.99": ["198.51.100.1 icmp_seq=1 Destination Host Unreachable"],
      };
      const said = Object.keys(ways).map(async (host) => {
        const { code, stdout } = await vm(...PING, host);
        assert.equal(code, 1, stdout);
        return [host, [...stdout.matchAll(/^From (.*)$/gm)].map(([, words]) => words)];
      });
      assert.deepEqual(Object.fromEntries(await Promise.all(said)), ways);
    });

    await t.step(
      "a big packet that must not be broken up is refused by the narrow link, or vanishes",
      async () => {
        const big = ["-M", "do", "-s", "1400"];
        const [small, hole, still] = await Promise.all([
          vm(...PING, ...big, "small.lab"),
          vm(...PING, ...big, "hole.lab"),
          vm(...PING, "-s", "1000", "hole.lab"),
        ]);
        assert.match(
          small!.stdout,
          /^From 203\.0\.113\.6 icmp_seq=1 Frag needed and DF set \(mtu = 1280\)$/m,
        );
        assert.deepEqual([received(hole!), /^From/m.test(hole!.stdout), received(still!)], [0, false, 1]);
      },
    );

    await t.step("there is no way out", async () => {
      const links = await lab.machine.run(["ip", "-json", "link"]);
      assert.deepEqual(JSON.parse(links.stdout).map(({ ifname }: { ifname: string }) => ifname), ["lo"]);
      for (const namespace of NAMESPACES) {
        const { stdout } = await lab.machine.run(["ip", "-n", namespace, "-details", "link"]);
        const [lo, ...others] = stdout.trim().split(/^\d+: /m).slice(1);
        assert.match(lo!, /^lo:/);
        assert.ok(others.length > 0);
        for (const other of others) {
          const [, peer] = / link-netns (\S+) [^]*\bveth /.exec(other) ??
            assert.fail(`${namespace}: ${other}`);
          assert.ok(NAMESPACES.includes(peer!) && peer !== namespace, `${namespace}: ${other}`);
        }
      }
      assert.equal((await lab.run("net2", "ip", "route", "show", "default")).stdout, "");
    });

    await t.step("nobody speaks IPv6, and every link is up", async () => {
      for (const namespace of NAMESPACES) {
        const { stdout } = await lab.machine.run(["ip", "-n", namespace, "-brief", "address"]);
        assert.doesNotMatch(stdout, /::/);
        assert.doesNotMatch(stdout, /\bDOWN\b/);
      }
    });
  },
});

Deno.test({
  ...needing("a command in the lab is the user's own process", ...LAB_NEEDS),
  async fn() {
    await using lab = await Lab.up();
    const { machine } = lab;
    const exec = (...words: string[]) => machine.onion("lab", "exec", ...words);

    assert.equal((await exec("--", "sh", "-c", "exit 42")).code, 42);
    assert.equal(
      (await exec("sh", "-c", "ip -brief address show eth3")).stdout.trim().split(/\s+/)[2],
      "192.168.203.2/24",
    );
    assert.match((await exec("-n", "net2", "--", "hostname", "-I")).stdout, /203\.0\.113\.2\b/);
    const absent = await exec("--", "no-such-program");
    assert.equal(absent.code, 127);
    assert.match(absent.stderr, /^onion: .*no-such-program: not found$/m);
    assert.equal((await exec("-n", "mars", "--", "true")).code, 2);

    // Standard input and signals are its own.
    const child = machine.spawn([ONION, "lab", "exec", "--", "sh", "-c", "echo $$; exec cat"], {
      stdin: "piped",
    });
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).values();
    assert.equal((await lines.next()).value, `${child.pid}\n`);
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("hello\n"));
    assert.equal((await lines.next()).value, "hello\n");
    child.kill("SIGINT");
    assert.equal((await child.status).signal, "SIGINT");
    await Promise.all([writer.close().catch(() => {}), lines.next(), child.stderr.cancel()]);
  },
});

Deno.test({
  ...needing("up and down leave the machine as it was", ...LAB_NEEDS),
  async fn() {
    await using machine = await Machine.make();
    const before = await machine.snapshot();
    assert.deepEqual(await machine.onion("lab", "down"), {
      code: 0,
      stdout: "there was no lab\n",
      stderr: "",
    });
    const exec = await machine.onion("lab", "exec", "true");
    assert.deepEqual([exec.code, exec.stderr], [1, "onion: the lab is not up; make it: onion lab up\n"]);

    const up = await machine.onion("lab", "up");
    assert.deepEqual([up.code, up.stderr], [0, ""]);
    const { stdout: namespaces } = await machine.run(["ip", "netns"]);
    assert.deepEqual(namespaces.match(/^[\w-]+/gm)?.sort(), [...NAMESPACES].sort());
    assert.equal((await machine.onion("lab", "up")).stdout, "the lab is up already\n");
    const other = await machine.onion("lab", "up", "--small-mtu");
    assert.deepEqual([other.code, other.stderr], [
      1,
      "onion: the lab is up already, with other faults; take it down first: onion lab down\n",
    ]);

    // One that listens to SIGTERM, and one that doesn't.
    const inside = (script: string) => machine.spawn([ONION, "lab", "exec", "sh", "-c", script]);
    const polite = inside("echo up; exec sleep 600");
    const stubborn = inside("trap '' TERM; echo up; sleep 600; sleep 600");
    const running = [polite, stubborn].map(async (child) => {
      const text = child.stdout.pipeThrough(new TextDecoderStream()).values();
      assert.equal((await text.next()).value, "up\n");
      return text;
    });
    const texts = await Promise.all(running);
    const fromWithin = await machine.onion("lab", "exec", ONION, "lab", "down");
    assert.match(fromWithin.stderr, /^onion: this process is in the lab itself; /);
    assert.deepEqual(await machine.onion("lab", "down"), {
      code: 0,
      stdout: "the lab is down\n",
      stderr: "",
    });
    const ends = [polite, stubborn].map(async (child) => (await child.status).signal);
    assert.deepEqual(await Promise.all(ends), ["SIGTERM", "SIGKILL"]);
    await Promise.all(texts.map((text) => text.next()));
    await Promise.all([polite, stubborn].map((child) => child.stderr.cancel()));

    assert.deepEqual(await machine.snapshot(), before);
  },
});

Deno.test({
  ...needing("what is not the lab's is left alone", ...LAB_NEEDS),
  async fn() {
    await using machine = await Machine.make();
    const ip = (...args: string[]) => machine.run(["ip", ...args]);
    await ip("netns", "add", "mine");
    const before = await machine.snapshot();
    assert.equal((await machine.onion("lab", "up")).code, 0);
    assert.equal((await machine.onion("lab", "down")).code, 0);
    assert.deepEqual(await machine.snapshot(), before);

    await ip("netns", "add", "onion-net2");
    const { code, stderr } = await machine.onion("lab", "up");
    assert.deepEqual([code, stderr], [
      1,
      "onion: there is a namespace onion-net2 that is not the lab's; " +
      "if nobody needs it, remove it: ip netns delete onion-net2\n",
    ]);
    assert.equal((await ip("netns")).stdout, "onion-net2\nmine\n");
  },
});

/**
 * A program that stands in for a real one: it says that it has begun, and waits to be let go on. Both go through named
 * pipes, whose opening waits for the other side.
 */
class Held {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async make(program: string, directory: string): Promise<Held> {
    const real = (await run("sh", ["-c", `command -v ${program}`])).stdout.trim();
    const script = `#!/bin/sh\n: >${directory}/begun\n: <${directory}/gate\nexec ${real} "$@"\n`;
    await Deno.writeTextFile(`${directory}/${program}`, script, { mode: 0o755 });
    assert.equal((await run("mkfifo", [`${directory}/begun`, `${directory}/gate`])).code, 0);
    return new Held(directory);
  }

  /** The environment in which it is found before the real one. */
  get env() {
    return { PATH: `${this.#directory}:${Deno.env.get("PATH")}` };
  }

  /** Waits until it has begun somewhere below this process. For as long as the result is open, others may begin. */
  async begun(child: Deno.ChildProcess): Promise<Deno.FsFile> {
    // If the process ends instead, it is we who open the other side, so that the test fails instead of hanging.
    child.status.then(() => Deno.openSync(`${this.#directory}/begun`, { read: true, write: true }).close());
    return await Deno.open(`${this.#directory}/begun`);
  }

  /** Lets it go on, for as long as the result is open. */
  letGo(): Deno.FsFile {
    return Deno.openSync(`${this.#directory}/gate`, { read: true, write: true });
  }
}

Deno.test({
  ...needing("an up that is ended half way leaves nothing", ...LAB_NEEDS),
  async fn() {
    await using machine = await Machine.make();
    using scratch = scratchDirectory();
    const nft = await Held.make("nft", scratch.path);
    const before = await machine.snapshot();

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const up = machine.spawn([ONION, "lab", "up"], { env: nft.env, detached: true });
      using _begun = await nft.begun(up);
      // To all processes of the group, as a terminal does it.
      Deno.kill(-up.pid, signal);
      using _gate = nft.letGo();
      const { code, stderr } = await up.output();
      const words = new TextDecoder().decode(stderr);
      assert.deepEqual([code, words], [
        1,
        `onion: ended by ${signal} before the lab was up; nothing is left of it\n`,
      ]);
      assert.deepEqual(await machine.snapshot(), before);
    }
  },
});

Deno.test({
  ...needing("an up that is killed half way is healed by the next, or by down", ...LAB_NEEDS, "ping"),
  async fn() {
    await using machine = await Machine.make();
    using scratch = scratchDirectory();
    const nft = await Held.make("nft", scratch.path);
    const before = await machine.snapshot();

    for (const next of ["up", "down"]) {
      const killed = machine.spawn([ONION, "lab", "up"], { env: nft.env });
      {
        using _begun = await nft.begun(killed);
        const { code, stderr } = await machine.onion("lab", "up");
        assert.equal(code, 1);
        assert.match(stderr, /^onion: another onion is making or removing the lab right now; /);
        killed.kill("SIGKILL");
        await killed.status;
      }
      const exec = await machine.onion("lab", "exec", "true");
      assert.match(exec.stderr, /^onion: the lab is not up; /);
      assert.equal((await machine.onion("lab", next)).code, 0);
      if (next === "up") {
        assert.equal((await machine.onion("lab", "exec", ...PING, "web.mit.edu")).code, 0);
        assert.equal((await machine.onion("lab", "down")).code, 0);
      }
      // What it had started is gone too, or this would wait for it.
      await killed.output();
      assert.deepEqual(await machine.snapshot(), before);
    }
  },
});

Deno.test({
  ...needing("the lab says what it lacks, before it changes anything", ...LAB_NEEDS),
  async fn() {
    await using machine = await Machine.make();
    // As nobody, in the eyes of the process.
    const nobody = await machine.run(["unshare", "--user", ONION, "lab", "up"]);
    assert.deepEqual([nobody.code, nobody.stderr], [
      3,
      "onion: not permitted to use the lab; run it as root: sudo onion lab …\n",
    ]);
    const nft = (await run("sh", ["-c", "command -v nft"])).stdout.trim();
    await machine.run(["mount", "-n", "--bind", "/dev/null", nft]);
    const { code, stderr } = await machine.onion("lab", "up");
    assert.deepEqual([code, stderr], [
      4,
      "onion: the program nft is missing; install nftables, e.g. `apt-get install nftables`\n",
    ]);
    assert.equal((await machine.run(["find", "/run"])).stdout, "/run\n");
  },
});

Deno.test({
  ...needing("faults can be switched on", ...LAB_NEEDS, "ping", "traceroute", "fping"),
  async fn(t) {
    await t.step("loss, on the way to the hosts", async () => {
      await using lab = await Lab.up("--loss", "50");
      const { stdout } = await lab.run(
        "vm",
        ..."fping -a -r 0 -t 500 -i 1 -g 128.30.3.1 128.30.3.200".split(" "),
      );
      // 200 tosses of a coin: seven standard deviations either way.
      const alive = stdout.trim().split("\n").length;
      assert.ok(alive > 50 && alive < 150, `${alive}`);
    });

    await t.step("a dead router", async () => {
      await using lab = await Lab.up("--dead-router");
      const [csail, mit, route] = await Promise.all([
        lab.run("vm", ...PING, "www.csail.mit.edu"),
        lab.run("vm", ...PING, "web.mit.edu"),
        lab.run("vm", ..."traceroute -n -I -q 1 -w 1 -m 5 128.30.2.155".split(" ")),
      ]);
      assert.deepEqual([received(csail!), /^From/m.test(csail!.stdout), received(mit!)], [0, false, 1]);
      assert.match(route!.stdout, /^ 3 {2}203\.0\.113\.2 .*\n 4 {2}\*\n 5 {2}\*\n/m);
    });

    await t.step("a small MTU", async () => {
      await using lab = await Lab.up("--small-mtu");
      const [csail, mit] = await Promise.all(
        ["www.csail.mit.edu", "web.mit.edu"].map((host) =>
          lab.run("vm", ...PING, "-M", "do", "-s", "1400", host)
        ),
      );
      assert.match(csail!.stdout, /^From 203\.0\.113\.2 icmp_seq=1 Frag needed and DF set \(mtu = 1280\)$/m);
      assert.equal(received(mit!), 1);
    });
  },
});

/** The rows of a demo's table under this heading: from, to, what, bytes, and what stands in the last column. */
function rowsOf(text: string, heading: string): string[][] {
  const [part] = text.split("\n\n").filter((part) => part.startsWith(heading));
  const rows: string[][] = [];
  for (const line of part?.split("\n").slice(2) ?? []) {
    const cells = line.trim().split(/ {2,}/);
    if (cells.length > 1) rows.push([...cells.slice(0, 4), cells.slice(5).join()]);
    // What does not fit stands below it.
    else rows.at(-1)![4] += ` ${cells}`;
  }
  return rows;
}

/** The legs of a ping by these routers into the world, and back. */
function wholeWay(path: readonly string[]): string[] {
  const parties = ["ping", "proxy", ...path, "world"];
  return [parties, parties.toReversed()].flatMap((way) => way.slice(1).map((to, at) => `${way[at]} → ${to}`));
}

Deno.test({
  ...needing("a demo shows a stage and leaves the lab as it found it", ...LAB_NEEDS, "ping"),
  async fn(t) {
    await using machine = await Machine.make();
    const before = await machine.snapshot();

    await t.step("stage 1, without a lab", async () => {
      const { code, stdout, stderr } = await machine.onion("lab", "demo", "--stage", "1");
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, /^ 1\. The proxy starts router 1, a process of its own with the pid \d+\.$/m);
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

    await t.step("stage 5, in words: everybody reads everything, but whose address it is", async () => {
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
      assert.match(stdout, /^Nothing is sealed: everybody on the way, .*, can read everything\.$/m);
      assert.match(stdout, /^4 of 4 pings were answered, /m);
    });

    await t.step("stage 6, in words: a path of three, and who can read what", async () => {
      const { code, stdout, stderr } = await machine.onion("lab", "demo", "--stage", "6");
      assert.deepEqual([code, stderr], [0, ""]);
      const rows = rowsOf(stdout, "The first ping");
      const path = rows.slice(1, 4).map(([, to]) => to!);
      assert.equal(new Set(path).size, 3);
      assert.deepEqual(rows.map(([from, to]) => `${from} → ${to}`), wholeWay(path));
      // 84 of the packet, 8 of a cell's header, 24 for each layer.
      const bytes = rows.map(([, , , bytes]) => bytes);
      assert.deepEqual(bytes, ["84", "164", "140", "116", "84", "84", "116", "140", "164", "84"]);
      const exit = `192.168.20${path[2]!.slice(-1)}.2`;
      assert.deepEqual(rows.map(([, , , , sight]) => sight), [
        "10.0.2.15 → 128.30.2.155 echo request",
        "nothing but where it goes next: 132 bytes sealed for others",
        "nothing but where it goes next: 108 bytes sealed for others",
        "0.0.0.0 → 128.30.2.155 echo request: not who asks",
        `${exit} → 128.30.2.155 echo request`,
        `128.30.2.155 → ${exit} echo reply`,
        "nothing but where it goes next: 108 bytes sealed for others",
        "nothing but where it goes next: 132 bytes sealed for others",
        "128.30.2.155 → 10.0.2.15 echo reply",
        "128.30.2.155 → 10.0.2.15 echo reply",
      ]);
      // One question and one answer for the first router, two for the second on two links, three for the third.
      const steps = rowsOf(stdout, "How the circuit is built").map(([from, to, what, bytes]) =>
        `${from} → ${to}: ${what!.replace(/ 0x\d+$/, "")}, ${bytes}`
      );
      const [a, b, c] = path;
      // On a busy machine, an answer may come too late, and another circuit is begun: the last one counts.
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
      // Three routers or more say that they are up, twelve cells or more build the circuit, and a ping crosses ten links.
      assert.ok(arrows.length >= 3 * 2 + 12 + 10, stdout);
      const notes = lines.filter((line) => /^ {2}Note over \w+: [^;#]+$/.test(line));
      assert.equal(cast.length + arrows.length + notes.length, lines.length, "nothing but these");
    });

    await t.step("a stage that does not come up: its own words", async () => {
      // Another run has the tunnel's address.
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

    await t.step("one that is cut short", async () => {
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
  ...needing("a demo keeps its captures for who asks for them", ...LAB_NEEDS, "ping", "tcpdump"),
  async fn(t) {
    await using machine = await Machine.make();
    using scratch = scratchDirectory();
    assert.equal((await machine.onion("lab", "up")).code, 0);

    /** Runs a demo as somebody's `sudo` would, and reads every file that it leaves, each as lines. */
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

    await t.step("stage 6: every link, every router, and each its part of the truth", async () => {
      const files = await demo(6);
      const links = ["proxy", "router1", "router2", "router3", "router4"].flatMap((one, at, all) =>
        all.slice(at + 1).map((other) => `${one}-${other}`)
      );
      const sights = [1, 2, 3, 4].flatMap((number) => [`router${number}.inside`, `router${number}.world`]);
      const expected = [...links, ...sights, "tunnel"].map((name) => `${name}.pcapng`);
      assert.deepEqual(Object.keys(files).sort(), expected.sort());
      // Whoever has both addresses in its hands knows who asks whom.
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

    await t.step("Wireshark is given names for the addresses", () => {
      const items = [...readPcapng(Deno.readFileSync(`${scratch.path}/stage6/proxy-router1.pcapng`))];
      const names = items.flatMap((item) => item.kind === "names" ? item.names : []);
      for (const name of ["proxy", "router1", "vm.lab", "eth1.vm.lab", "www.csail.mit.edu"]) {
        assert.ok(names.includes(name), name);
      }
    });

    await t.step("a directory that cannot be made: nothing is run", async () => {
      const command = ["lab", "demo", "--stage", "2", "--pcap", `${scratch.path}/no/such`];
      const { code, stdout, stderr } = await machine.onion(...command);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^onion: cannot write captures to .*; choose another directory with --pcap\n$/);
    });
    assert.equal((await machine.onion("lab", "down")).code, 0);
  },
});
