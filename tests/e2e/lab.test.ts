/**
 * The practice network, with the real executable and real tools, over kernel routes. No stage runs
 * here.
 */
import assert from "node:assert/strict";
import { plan } from "../../src/lab/plan.ts";
import { NO_FAULTS, topology } from "../../src/lab/topology.ts";
import { Held } from "./support/held.ts";
import { Lab, LAB_NEEDS, Machine } from "./support/lab.ts";
import { type Ended, needing, ONION, run, scratchDirectory } from "./support/program.ts";

const NAMESPACES = plan(topology(NO_FAULTS)).namespaces;

/** One packet, with a timeout of one second. */
const PING = ["ping", "-n", "-c", "1", "-W", "1", "-w", "1"];

/** The replies and losses in the output of ping. */
function received({ stdout }: Ended): number {
  return Number(/(\d+) received/.exec(stdout)?.[1]);
}

Deno.test({
  ...needing(
    "lab: real tools find what a user expects",
    ...LAB_NEEDS,
    "ping",
    "traceroute",
    "fping",
    "getent",
  ),
  async fn(t) {
    await using lab = await Lab.up();
    const vm = (...command: string[]) => lab.run("vm", ...command);

    await t.step("names resolve, and none is looked up elsewhere", async () => {
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

    await t.step("every interface of the VM has its own translating gateway", async () => {
      const cards = [0, 1, 2, 3, 4, 5, 6].map((number) => vm(...PING, "-I", `eth${number}`, "128.30.2.155"));
      assert.deepEqual((await Promise.all(cards)).map(received), cards.map(() => 1));
      // The world has no route to the VM's addresses, so the gateways must have translated them.
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

    await t.step("dead hosts stay dead, each in its own way", async () => {
      const ways = {
        "dead.lab": [],
        "unreachable.lab": ["203.0.113.6 icmp_seq=1 Destination Host Unreachable"],
        "prohibited.lab": ["203.0.113.6 icmp_seq=1 Packet filtered"],
        // An address that no host and no router has.
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
      "a long packet with don't-fragment is refused by the narrow link, or vanishes",
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

    await t.step("no link has IPv6, and every link is up", async () => {
      for (const namespace of NAMESPACES) {
        const { stdout } = await lab.machine.run(["ip", "-n", namespace, "-brief", "address"]);
        assert.doesNotMatch(stdout, /::/);
        assert.doesNotMatch(stdout, /\bDOWN\b/);
      }
    });
  },
});

Deno.test({
  ...needing("lab exec: a command is the user's own process", ...LAB_NEEDS),
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

    // It gets standard input and signals.
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
  ...needing("lab: up and down leave the machine as it was", ...LAB_NEEDS),
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

    // One that handles SIGTERM, and one that ignores it.
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
    assert.match(fromWithin.stderr, /^onion: this process runs inside the lab; /);
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
  ...needing("lab: leaves alone what is not its own", ...LAB_NEEDS),
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
      "onion: the namespace onion-net2 exists, but it is not the lab's; " +
      "if nobody needs it, remove it: ip netns delete onion-net2\n",
    ]);
    assert.equal((await ip("netns")).stdout, "onion-net2\nmine\n");
  },
});

Deno.test({
  ...needing("lab up: leaves nothing when ended halfway", ...LAB_NEEDS),
  async fn() {
    await using machine = await Machine.make();
    using scratch = scratchDirectory();
    const nft = await Held.make("nft", scratch.path);
    const before = await machine.snapshot();

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const up = machine.spawn([ONION, "lab", "up"], { env: nft.env, detached: true });
      using _begun = await nft.begun(up);
      // To all processes of the group, as a terminal does.
      Deno.kill(-up.pid, signal);
      using _gate = nft.letGo();
      const { code, stderr } = await up.output();
      const words = new TextDecoder().decode(stderr);
      assert.deepEqual([code, words], [
        1,
        `onion: ended by ${signal} before the lab was up; nothing of it is left\n`,
      ]);
      assert.deepEqual(await machine.snapshot(), before);
    }
  },
});

Deno.test({
  ...needing("lab up: the next up, or down, undoes one that was killed halfway", ...LAB_NEEDS, "ping"),
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
      // Its children are gone too, because otherwise this would wait for them.
      await killed.output();
      assert.deepEqual(await machine.snapshot(), before);
    }
  },
});

Deno.test({
  ...needing("lab: says what it lacks before it changes anything", ...LAB_NEEDS),
  async fn() {
    await using machine = await Machine.make();
    // A new user namespace makes the process nobody.
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
  ...needing("lab up: switches faults on", ...LAB_NEEDS, "ping", "traceroute", "fping"),
  async fn(t) {
    await t.step("loss on the way to the hosts", async () => {
      await using lab = await Lab.up("--loss", "50");
      const { stdout } = await lab.run(
        "vm",
        ..."fping -a -r 0 -t 500 -i 1 -g 128.30.3.1 128.30.3.200".split(" "),
      );
      // 200 coin tosses, with seven standard deviations either way.
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
