/**
 * However and whenever a run of several routers ends, none of them is left. The host is restored,
 * or stays closed until it is restored.
 */
import assert from "node:assert/strict";
import { Random } from "../support/random.ts";
import { Flood } from "./support/flood.ts";
import { STAYS_CLOSED } from "./support/onion.ts";
import { needing, run, scratchDirectory } from "./support/program.ts";
import { Address, endWell, Vm, VM_NEEDS, words } from "./support/vm.ts";

/** The max number of routers. All but one are on the path. */
const SIX = "--routers 6 --hops 5";

/** Max milliseconds for a start and an end with six routers, on a busy machine with two cores. */
const MOST = { start: 10_000, end: 3000 } as const;

Deno.test({
  ...needing("six routers: start, and end on Ctrl+C, fast enough for a user", ...VM_NEEDS),
  fn: async (t) => {
    await using vm = await Vm.up();
    const before = await vm.state();
    for (const target of ["process", "group"] as const) {
      const asked = performance.now();
      await using onion = await vm.onion(["--stage", "6", ...words(SIX)], { group: true });
      const { routers } = await onion.ready();
      const ready = performance.now();
      assert.equal(routers.length, 6);
      await vm.pings(1, `-I ${Address.vm} ${Address.csail}`);
      const answered = performance.now();
      onion.kill("SIGINT", target);
      const { code, stderr, stdout } = await onion.ended;
      await onion.gone;
      const over = performance.now();
      assert.deepEqual([code, stderr], [0, ""]);
      assert.equal(
        stdout.match(/^router \d: \d+ cells received, \d+ sent$/gm)?.length,
        6,
        "every router has reported",
      );
      // As steps, so that the figures are printed.
      await t.step(
        `ready after ${(ready - asked).toFixed()} ms`,
        () => assert.ok(ready - asked < MOST.start),
      );
      await t.step(
        `over after ${(over - answered).toFixed()} ms`,
        () => assert.ok(over - answered < MOST.end),
      );
      assert.deepEqual(await vm.state(), before);
    }
  },
});

/** Hosts on which six routers leave different changes: rules by address, and rules by mark. */
const HOSTS: Readonly<Record<string, readonly string[]>> = {
  "with a card for each": [],
  "with one card, and a TUN interface of the user's": [
    "for number in 1 2 3 4 5 6; do ip link delete eth$number; done",
    "ip tuntap add dev tun1 mode tun",
  ],
};

for (const [host, prepare] of Object.entries(HOSTS)) {
  Deno.test({
    ...needing(
      "six routers: a killed proxy leaves none of them for a second, and nothing for good, " + host,
      ...VM_NEEDS,
    ),
    fn: async () => {
      await using vm = await Vm.up();
      await vm.sh(...prepare);
      const before = await vm.state();
      await using onion = await vm.stage(6, SIX);
      {
        await using _ = await Flood.start(vm);
        onion.kill("SIGKILL");
        await onion.ended;
        const killed = performance.now();
        await onion.gone;
        const took = performance.now() - killed;
        assert.ok(took < 1000, `${took} ms`);
      }
      await vm.down();
      assert.deepEqual(await vm.state(), before);
    },
  });
}

for (
  const { stage, args, victim } of [
    { stage: 4, args: "--no-restart --routers 6", victim: 6 },
    { stage: 5, args: "--no-restart", victim: 2 },
    { stage: 6, args: `--no-restart ${SIX}`, victim: 3 },
  ]
) {
  Deno.test({
    ...needing(
      `stage ${stage}: with --no-restart, a killed router ends the run, which stays closed and names it`,
      ...VM_NEEDS,
    ),
    fn: async () => {
      await using vm = await Vm.up();
      const before = await vm.state();
      await using onion = await vm.stage(stage, args);
      const { routers } = await onion.ready();
      const pid = routers[victim - 1]!;
      {
        await using _ = await Flood.start(vm);
        Deno.kill(pid, "SIGKILL");
        const { code, stderr } = await onion.ended;
        assert.deepEqual([code, stderr], [
          1,
          `${STAYS_CLOSED}onion: router ${victim} (pid ${pid}) died: SIGKILL; start again, with --log-level debug to see more\n`,
        ]);
        await onion.gone;
      }
      await vm.down();
      assert.deepEqual(await vm.state(), before);
    },
  });
}

Deno.test({
  ...needing(
    "six routers: Ctrl+C during the start or a build leaves nothing",
    ...VM_NEEDS,
  ),
  fn: async () => {
    await using vm = await Vm.up();
    const before = await vm.state();
    const random = new Random(1);
    for (let round = 0; round < 12; round++) {
      const moment = random.below(700);
      const what = `after ${moment} ms`;
      await using onion = await vm.onion(["--stage", "6", ...words(SIX)], { group: true });
      await new Promise((resolve) => setTimeout(resolve, moment));
      onion.kill("SIGINT", round % 2 === 0 ? "group" : "process");
      const end = await onion.ended;
      // Early on, before the run listens, the signal itself ends it.
      assert.ok(end.code === 0 || end.signal === "SIGINT", `${what}: ${JSON.stringify(end)}`);
      assert.equal(end.stderr, "", what);
      await onion.gone;
      assert.deepEqual(await vm.state(), before, what);
    }
  },
});

Deno.test({
  ...needing("six routers: the next start takes over what a killed run left", ...VM_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    const before = await vm.state();
    await using victim = await vm.stage(6, SIX);
    victim.kill("SIGKILL");
    await victim.gone;
    await using onion = await vm.stage(4, "--routers 2");
    await vm.pings(2, `-I ${Address.vm} -i 0.01 ${Address.csail}`);
    await endWell(onion);
    assert.deepEqual(await vm.state(), before);
  },
});

/** In the place of `ip`: reports each call, and takes longer than a router waits for `stop`. */
const SLOW = (real: string) => `#!/bin/sh\n>"$CALLED"\nsleep 0.5\nexec ${real} "$@"\n`;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.test({
    ...needing(
      `six routers: ${signal} to every process during a slow start ends the run well`,
      ...VM_NEEDS,
    ),
    fn: async () => {
      await using vm = await Vm.up();
      const before = await vm.state();
      using scratch = scratchDirectory();
      const real = (await run("sh", ["-c", "command -v ip"])).stdout.trim();
      Deno.writeTextFileSync(`${scratch.path}/ip`, SLOW(real), { mode: 0o755 });
      const called = `${scratch.path}/called`;
      using calls = Deno.watchFs(scratch.path);
      const path = `PATH=${scratch.path}:${Deno.env.get("PATH")}`;
      await using onion = await vm.onion(["--stage", "6"], {
        group: true,
        via: ["env", path, `CALLED=${called}`],
      });
      for await (const { paths } of calls) if (paths.includes(called)) break;
      const asked = performance.now();
      onion.kill(signal, "group");
      const { code, stderr } = await onion.ended;
      const took = performance.now() - asked;
      // A router that waits for `stop` in vain ends by itself and says so.
      const others = stderr.replaceAll(/^onion router \d: warning: ended by SIGTERM\n/gm, "");
      assert.deepEqual([code, others], [0, ""]);
      // A dozen changes, made and undone, would take longer.
      assert.ok(took < 5000, `${took} ms`);
      await onion.gone;
      assert.deepEqual(await vm.state(), before);
    },
  });
}
