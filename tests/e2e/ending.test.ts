/**
 * However and whenever a run that captures nothing ends, nothing of it is left, or the next start
 * undoes it.
 */
import assert from "node:assert/strict";
import { Namespace } from "./support/namespace.ts";
import { Onion } from "./support/onion.ts";
import { needing, ONION } from "./support/program.ts";
import { type Snapshot, snapshot } from "./support/snapshot.ts";

const STAGE_2 = ["--stage", "2"];

/** The seed of all random moments. Set another one to try others. */
const SEED = Number(Deno.env.get("ONION_TEST_SEED") ?? 1);

/** Reproducible numbers from 0 to 1 (mulberry32). */
function* randoms(seed: number): Generator<number, never> {
  for (let state = seed;;) {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    yield ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A snapshot of a namespace without the names of processes and the numbers of interfaces. */
function shape({ processes, ...state }: Snapshot): unknown {
  const text = JSON.stringify({ ...state, processes: processes.length });
  // A new TUN interface has a new number, and a journal is named after its process.
  return JSON.parse(text.replaceAll(/(^|\\n|")\d+: /g, "$1").replaceAll(/\d+\.journal/g, "journal"));
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.test({
    ...needing(`ending: ${signal} to every process at once ends the run well`, "root", "ping"),
    fn: async () => {
      await using namespace = await Namespace.make({ ipv6: false });
      const before = await snapshot(namespace);
      for (let round = 0; round < 3; round++) {
        await using onion = await Onion.start(STAGE_2, { namespace, group: true });
        await onion.ready();
        await namespace.run("ping", "-c", "1", "-w", "5", "10.5.51.7");
        onion.kill(signal, "group");
        const { code, stdout, stderr } = await onion.ended;
        assert.deepEqual([code, stderr], [0, ""]);
        // The router was asked to stop, so it has reported its counters.
        assert.match(stdout, /^router 1: 1 cells received, 1 sent$/m);
        await onion.gone;
        assert.deepEqual(await snapshot(namespace), before);
      }
    },
  });
}

Deno.test({
  ...needing("ending: signals to every process during a start end the run well", "root"),
  fn: async () => {
    await using namespace = await Namespace.make({ ipv6: false });
    const before = await snapshot(namespace);
    const random = randoms(SEED);
    for (let round = 0; round < 15; round++) {
      const moment = random.next().value * 250;
      const signal = (["SIGINT", "SIGTERM", "SIGHUP"] as const)[round % 3]!;
      const what = `${signal} after ${moment.toFixed()} ms`;
      await using onion = await Onion.start(STAGE_2, { namespace, group: true });
      await after(moment);
      onion.kill(signal, "group");
      const end = await onion.ended;
      // Early on, before the run listens, the signal itself ends it.
      assert.ok(end.code === 0 || end.signal === signal, `${what}: ${JSON.stringify(end)}`);
      assert.equal(end.stderr, "", what);
      await onion.gone;
      assert.deepEqual(await snapshot(namespace), before, what);
    }
  },
});

Deno.test("ending: a hang-up does not end a run under nohup", async () => {
  await using onion = await Onion.start(["--stage", "1"], { via: ["nohup"] });
  await onion.ready();
  onion.kill("SIGHUP");
  const { code, stdout } = await onion.end("SIGTERM");
  assert.equal(code, 0);
  assert.match(stdout, /^ended by SIGTERM after /m);
});

/** Ends runs at random moments, and checks each next start as soon as it is ready. */
async function endAtRandom(namespace: Namespace, rounds: number): Promise<void> {
  const before = await snapshot(namespace);
  const random = randoms(SEED);
  let ready: unknown;
  for (let round = 0; round < rounds; round++) {
    const moment = random.next().value * 500;
    const signal = (["SIGKILL", "SIGINT", "SIGTERM"] as const)[round % 3]!;
    const what = `round ${round}: ${signal} after ${moment.toFixed()} ms`;
    await using victim = await Onion.start(STAGE_2, { namespace });
    await after(moment);
    victim.kill(signal);
    await victim.ended;
    const ended = performance.now();
    const lingered = victim.gone.then(() => performance.now() - ended);

    await using next = await Onion.start(STAGE_2, { namespace });
    const { router } = await next.ready();
    const now = await snapshot(namespace);
    assert.deepEqual(now.processes, [next.pid, router].sort((a, b) => a - b), what);
    assert.deepEqual(now.journals.filter((name) => name !== `${next.pid}.journal`), [], what);
    assert.deepEqual(shape(now), ready ??= shape(now), what);
    assert.ok(await lingered < 1000, `${what}: a router was left for ${await lingered} ms`);
    const { code, stderr } = await next.end();
    assert.deepEqual([code, stderr], [0, ""], what);
    assert.deepEqual(await snapshot(namespace), before, what);
  }
}

Deno.test({
  ...needing(
    "ending: the next start undoes what 20 runs left that ended at random moments",
    "root",
  ),
  fn: async () => {
    await using namespace = await Namespace.make({ ipv6: false });
    await endAtRandom(namespace, 20);
  },
});

Deno.test({
  ...needing("ending: the next start undoes what runs left that completed a user's TUN interface", "root"),
  fn: async () => {
    await using namespace = await Namespace.make({ ipv6: false });
    await namespace.ip("tuntap", "add", "dev", "tun1", "mode", "tun");
    await endAtRandom(namespace, 10);
  },
});

/** What makes a run fail, and the one line that it prints. */
const ACCIDENTS: Readonly<
  Record<string, [(namespace: Namespace, router: number) => Promise<unknown>, RegExp]>
> = {
  "its router is killed": [
    (_, router) => Promise.resolve(Deno.kill(router, "SIGKILL")),
    /^onion: router 1 \(pid \d+\) died: SIGKILL; start again, with --log-level debug to see more\n$/,
  ],
  "its TUN interface is deleted": [
    (namespace) => namespace.ip("link", "delete", "tun1"),
    /^onion: packets stopped: Cannot read from the TUN device: read failed: EBADFD; see `ip link`\n$/,
  ],
};

for (const [what, [happen, line]] of Object.entries(ACCIDENTS)) {
  Deno.test({
    ...needing(`ending: when ${what}, the run fails, says so, and leaves nothing`, "root", "ping"),
    fn: async () => {
      await using namespace = await Namespace.make({ ipv6: false });
      const before = await snapshot(namespace);
      await using onion = await Onion.start(STAGE_2, { namespace });
      const { router } = await onion.ready();
      await happen(namespace, router);
      const { code, stderr } = await onion.ended;
      assert.match(stderr, line);
      assert.equal(code, 1);
      await onion.gone;
      assert.deepEqual(await snapshot(namespace), before);
    },
  });
}

Deno.test({
  ...needing("ending: Ctrl+C ends a run at once during a flood", "root", "ping"),
  fn: async () => {
    await using namespace = await Namespace.make({ ipv6: false });
    const before = await snapshot(namespace);
    await using onion = await Onion.start([...STAGE_2, "--json"], { namespace });
    await onion.stdout.find(/"event":"ready"/);
    const ping = namespace.run("ping", "-f", "-q", "-c", "100000", "-w", "2", "10.5.51.7");
    await onion.stdout.find(/"event":"icmp-from-port"/);
    const asked = performance.now();
    const { code, stderr } = await onion.end();
    const took = performance.now() - asked;
    assert.deepEqual([code, stderr], [0, ""]);
    assert.ok(took < 1000, `${took} ms`);
    await ping;
    assert.deepEqual(await snapshot(namespace), before);
  },
});

Deno.test({
  ...needing("onion down: undoes what a killed run left, and names it", "root"),
  fn: async () => {
    await using namespace = await Namespace.make({ ipv6: false });
    await namespace.ip("tuntap", "add", "dev", "tun1", "mode", "tun");
    const before = await snapshot(namespace);
    await using onion = await Onion.start(STAGE_2, { namespace });
    await onion.ready();
    // While its run lives, it is no leftover.
    assert.deepEqual(await namespace.run(ONION, "down"), {
      code: 0,
      stdout: `left alone: the run of process ${onion.pid}, which is up\nnothing to undo\n`,
      stderr: "",
    });
    onion.kill("SIGKILL");
    await onion.gone;
    assert.deepEqual(await namespace.run(ONION, "down"), {
      code: 0,
      stdout: "undone: tun1 up\nundone: address 10.5.51.2/24 on tun1\n",
      stderr: "",
    });
    assert.deepEqual(await snapshot(namespace), before);
    assert.deepEqual(await namespace.run(ONION, "down"), {
      code: 0,
      stdout: "nothing to undo\n",
      stderr: "",
    });
  },
});

Deno.test({
  ...needing("leftovers: are undone only in their own network namespace", "root"),
  fn: async () => {
    const leftBehind = async () => {
      await using namespace = await Namespace.make({ ipv6: false });
      await namespace.ip("tuntap", "add", "dev", "tun1", "mode", "tun");
      await using onion = await Onion.start(STAGE_2, { namespace });
      await onion.ready();
      onion.kill("SIGKILL");
      await onion.gone;
      return await snapshot(namespace);
    };
    // Another network at the same time, and later networks, one of which may get the same inode.
    await using beside = await byHand();
    assert.equal((await leftBehind()).journals.length, 1);
    for (let round = 0; round < 3; round++) {
      await using later = await byHand();
      for (const namespace of [beside, later]) {
        const before = await snapshot(namespace);
        assert.deepEqual(await namespace.run(ONION, "down"), {
          code: 0,
          stdout: "nothing to undo\n",
          stderr: "",
        });
        assert.deepEqual({ ...await snapshot(namespace), journals: [] }, { ...before, journals: [] });
      }
    }
  },
});

/** A namespace with a TUN interface that a user set up as a run would. */
async function byHand(): Promise<Namespace> {
  const namespace = await Namespace.make({ ipv6: false });
  await namespace.ip("tuntap", "add", "dev", "tun1", "mode", "tun");
  await namespace.ip("address", "add", "10.5.51.2/24", "dev", "tun1");
  await namespace.ip("link", "set", "tun1", "up");
  return namespace;
}

Deno.test({
  ...needing(
    "second Ctrl+C: does not wait for a router that hangs, and still removes the TUN interface",
    "root",
  ),
  fn: async () => {
    await using namespace = await Namespace.make({ ipv6: false });
    const before = await snapshot(namespace);
    await using onion = await Onion.start(STAGE_2, { namespace });
    const { router } = await onion.ready();
    Deno.kill(router, "SIGSTOP");
    // Repeatedly, because two simultaneous signals may merge into one.
    const impatience = setInterval(() => onion.kill("SIGINT"), 20);
    const { code } = await onion.ended.finally(() => clearInterval(impatience));
    assert.equal(code, 130);
    Deno.kill(router, "SIGCONT");
    await onion.gone;
    assert.deepEqual(await snapshot(namespace), before);
  },
});
