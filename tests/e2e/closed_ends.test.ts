/**
 * Runs that end otherwise than by Ctrl+C, SIGTERM or SIGHUP. What they captured stays refused until
 * `onion down` opens the host, or another run takes over.
 *
 * ```
 *   ready ── accident ─► closed ─┬─ onion down ─► open
 *                          ▲     ├─ start ─► ready, never open in between
 *                          └─────┴─ start that fails, or stages 1 and 2
 * ```
 */
import assert from "node:assert/strict";
import { ROOT } from "../../scripts/project.ts";
import { assertRefused, CAPTURED, LEAK_NEEDS, withoutLeak } from "./support/leaks.ts";
import { type Circumstances, type Onion, STAYS_CLOSED as STAYS } from "./support/onion.ts";
import { needing, scratchDirectory } from "./support/program.ts";
import { Address, endWell, Vm, words } from "./support/vm.ts";

/** What a run of stage 1 or 2 says about that. */
const LEFT =
  "onion proxy: warning: an earlier run died, and what it captured stays refused: run `onion down` to open the host\n";

/** Runs a program from source in the place of the executable. */
const fromSource = (path: string): Circumstances => ({
  via: ["sh", "-c", `shift; exec "$0" run --quiet -A "${ROOT}${path}" "$@"`, Deno.execPath()],
});

/** A way to end a run. */
interface Accident {
  readonly happens: (onion: Onion, vm: Vm, router: number) => unknown;
  /** The code of its end; 1 unless given. */
  readonly code?: number;
  /** What it prints on stderr at its end. */
  readonly says: RegExp;
  readonly circumstances?: Circumstances;
}

const saying = (line: string) => new RegExp(`^${STAYS}onion: ${line}\n$`);

const ACCIDENTS: Readonly<Record<string, Accident>> = {
  "its router is killed": {
    happens: (_, __, router) => Deno.kill(router, "SIGKILL"),
    says: saying("router 1 \\(pid \\d+\\) died: SIGKILL; .*"),
  },
  "its router is asked to end": {
    happens: (_, __, router) => Deno.kill(router, "SIGTERM"),
    says: new RegExp(
      `^onion router 1: warning: ended by SIGTERM\n${STAYS}onion: router 1 failed: ended by SIGTERM; .*\n$`,
    ),
  },
  "its TUN interface is deleted": {
    happens: (_, vm) => vm.sh("ip link delete tun1"),
    says: saying("packets stopped: Cannot read from the TUN device: .*"),
  },
  "its proxy is killed": { happens: (onion) => onion.kill("SIGKILL"), code: 128 + 9, says: /^$/ },
  "its proxy aborts, as without memory": {
    happens: (onion) => onion.kill("SIGABRT"),
    code: 128 + 6,
    says: /^$/,
  },
  "it has an internal error": {
    happens: (onion) => onion.kill("SIGUSR2"),
    says: new RegExp(`^onion: internal error: provoked by a test; .*\n${STAYS}$`),
    circumstances: fromSource("tests/e2e/support/crashing.ts"),
  },
  "its router is killed while /run is full": {
    happens: async (_, vm, router) => {
      await vm.sh("mount -n -o remount,size=256k /run", "cat /dev/zero >/run/full || true");
      Deno.kill(router, "SIGKILL");
    },
    says: saying("router 1 \\(pid \\d+\\) died: SIGKILL; .*"),
  },
};

for (const [name, { happens, code = 1, says, circumstances }] of Object.entries(ACCIDENTS)) {
  Deno.test({
    ...needing(`closed end: when ${name}, captured packets stay refused until onion down`, ...LEAK_NEEDS),
    fn: async () => {
      await using vm = await Vm.up();
      const before = await vm.state();
      await using onion = await vm.stage(3, "", circumstances);
      const { router } = await onion.ready();
      await withoutLeak(vm, async () => {
        await vm.pings(2, `-i 0.01 ${CAPTURED[0]}`);
        await happens(onion, vm, router);
        const end = await onion.ended;
        assert.match(end.stderr, says);
        assert.equal(end.code, code);
        await onion.gone;
        await assertRefused(vm);
      });
      await vm.sh("rm -f /run/full");
      await vm.down();
      assert.deepEqual(await vm.state(), before);
      await vm.pings(1, CAPTURED[0]!);
    },
  });
}

Deno.test({
  ...needing("closed end: a second Ctrl+C, which undoes nothing, says so", ...LEAK_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    const before = await vm.state();
    await using onion = await vm.stage(3);
    const { router } = await onion.ready();
    await withoutLeak(vm, async () => {
      Deno.kill(router, "SIGSTOP");
      // Repeatedly, because two simultaneous signals may merge into one.
      const impatience = setInterval(() => onion.kill("SIGINT"), 20);
      const { code, stderr } = await onion.ended.finally(() => clearInterval(impatience));
      assert.deepEqual([code, stderr], [130, STAYS.replace("onion proxy: error", "onion")]);
      Deno.kill(router, "SIGCONT");
      await onion.gone;
      await assertRefused(vm);
    });
    await vm.down();
    assert.deepEqual(await vm.state(), before);
  },
});

/** Brings up a VM on which a run has failed. */
async function closedVm(stage = 3): Promise<{ vm: Vm; before: Awaited<ReturnType<Vm["state"]>> }> {
  await using stack = new AsyncDisposableStack();
  const vm = stack.use(await Vm.up());
  const before = await vm.state();
  await using onion = await vm.stage(stage);
  Deno.kill((await onion.ready()).router, "SIGKILL");
  assert.equal((await onion.ended).code, 1);
  await onion.gone;
  stack.move();
  return { vm, before };
}

Deno.test({
  ...needing("closed end: undoes all but the capture", ...LEAK_NEEDS),
  fn: async () => {
    const { vm, before } = await closedVm();
    await using _ = vm;
    const { rules, routes, addresses, sysctls, links } = await vm.state();
    assert.match(rules, /^8:\s+from 10\.0\.2\.15 lookup 9$/m);
    assert.doesNotMatch(rules + routes, /(lookup|table) 901/);
    assert.deepEqual(
      { addresses, sysctls, links },
      { addresses: before.addresses, sysctls: before.sysctls, links: before.links },
    );
  },
});

Deno.test({
  ...needing(
    "take-over: the next run carries what a failed one captured, never open in between",
    ...LEAK_NEEDS,
  ),
  fn: async () => {
    const { vm, before } = await closedVm();
    await using _ = vm;
    await withoutLeak(vm, async () => {
      // The last run leaves the defaults, so that its rules are not those of the one before.
      for (const args of ["", "--capture 128.0.0.0/2,18.0.0.0/8 --table 10", "--priority 7", ""]) {
        await using onion = await vm.stage(3, args);
        for (const args of CAPTURED) await vm.pings(2, `-i 0.01 ${args}`);
        assert.equal((await vm.state()).journals.trim().split("\n").length, 2, "its directory and its own");
        onion.kill("SIGKILL");
        await onion.gone;
        await assertRefused(vm);
      }
    });
    await using onion = await vm.stage(4, "--routers 2");
    await vm.pings(2, `-i 0.01 ${CAPTURED[0]}`);
    await endWell(onion);
    assert.deepEqual(await vm.state(), before);
  },
});

/** Starts that fail, and what they say. */
const FAILING: Readonly<Record<string, { args: string; warns?: string; says: string; directory?: string }>> =
  {
    "because the kernel refuses a change": {
      args: "--exit eth1@203.0.113.1",
      says: "`ip route add default via 203\\.0\\.113\\.1 dev eth1 table 901` failed: .*",
    },
    "because its router cannot log": {
      args: "",
      warns: "onion router 1: warning: .*\n",
      says: "router 1 \\(pid \\d+\\) died: .*",
      directory: "stage3.router1.out/full",
    },
  };

for (const [name, { args, warns = "", says, directory }] of Object.entries(FAILING)) {
  Deno.test({
    ...needing(`failing start: leaves a closed host closed ${name}, and an open one open`, ...LEAK_NEEDS),
    fn: async () => {
      const { vm, before } = await closedVm();
      await using _ = vm;
      const fails = async (stays: string) => {
        using scratch = scratchDirectory();
        if (directory !== undefined) Deno.mkdirSync(`${scratch.path}/${directory}`, { recursive: true });
        await using onion = await vm.onion(["--stage", "3", ...words(args)], { directory: scratch.path });
        const { code, stderr } = await onion.ended;
        assert.match(stderr, new RegExp(`^${warns}${stays}onion: ${says}\n$`));
        assert.equal(code, 1);
        await onion.gone;
      };
      const closed = await vm.state();
      await withoutLeak(vm, async () => {
        await fails(STAYS);
        await assertRefused(vm);
      });
      assert.deepEqual(await vm.state(), closed);
      await vm.down();
      assert.deepEqual(await vm.state(), before);
      await fails("");
      assert.deepEqual(await vm.state(), before);
      await vm.pings(1, CAPTURED[0]!);
    },
  });
}

Deno.test({
  ...needing("failing start: Ctrl+C during a start leaves a closed host closed, and says so", ...LEAK_NEEDS),
  fn: async () => {
    const { vm, before } = await closedVm();
    await using _ = vm;
    const closed = await vm.state();
    using scratch = scratchDirectory();
    // In the place of nft: says that it was called, and takes its time.
    const called = `${scratch.path}/called`;
    const real = (await vm.sh("command -v nft")).trim();
    const slow = `#!/bin/sh\n>${called}\nsleep 0.5\nexec ${real} "$@"\n`;
    Deno.writeTextFileSync(`${scratch.path}/nft`, slow, { mode: 0o755 });
    await withoutLeak(vm, async () => {
      using calls = Deno.watchFs(scratch.path);
      const path = `PATH=${scratch.path}:${Deno.env.get("PATH")}`;
      await using onion = await vm.onion(["--stage", "3"], { via: ["env", path] });
      for await (const { paths } of calls) if (paths.includes(called)) break;
      const { code, stderr } = await onion.end();
      assert.deepEqual([code, stderr], [0, STAYS]);
      await assertRefused(vm);
    });
    assert.deepEqual(await vm.state(), closed);
    await vm.down();
    assert.deepEqual(await vm.state(), before);
  },
});

Deno.test({
  ...needing("stages 1 and 2: leave a closed capture closed, and say so in one line", ...LEAK_NEEDS),
  fn: async () => {
    const { vm, before } = await closedVm();
    await using _ = vm;
    const closed = await vm.state();
    await withoutLeak(vm, async () => {
      for (const stage of [1, 2]) {
        await using onion = await vm.stage(stage);
        await assertRefused(vm);
        const { code, stderr } = await onion.end();
        assert.deepEqual([code, stderr], [0, LEFT]);
        await assertRefused(vm);
      }
    });
    assert.deepEqual(await vm.state(), closed);
    // It does not keep others from opening the host.
    await using onion = await vm.stage(1);
    await vm.down();
    assert.equal((await onion.end()).code, 0);
    assert.deepEqual(await vm.state(), before);
  },
});

/** A run in a PID namespace of its own, which shares the network and /run. */
const OTHER_PIDS: Circumstances = {
  via: ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"],
};

const LIVE: Readonly<Record<string, [Circumstances, RegExp]>> = {
  "here": [{}, /^left alone: the run of process \d+, which is up\nnothing to undo\n$/],
  "in another PID namespace": [
    OTHER_PIDS,
    /^left alone: the run of process \d+, which is up in another PID namespace, or is being taken over\nnothing to undo\n$/,
  ],
};

for (const [where, [circumstances, says]] of Object.entries(LIVE)) {
  Deno.test({
    ...needing(`onion down: names a run that is up ${where}, and leaves it alone`, ...LEAK_NEEDS),
    fn: async () => {
      await using vm = await Vm.up();
      const before = await vm.state();
      await using onion = await vm.stage(3, "", circumstances);
      const running = await vm.state();
      await withoutLeak(vm, async () => {
        await using down = await vm.onion(["down"]);
        const { code, stdout, stderr } = await down.ended;
        assert.match(stdout, says);
        assert.deepEqual([code, stderr], [0, ""]);
        const other = "--stage 3 --tun tun2 --address 10.5.52.2/24 --capture 17.0.0.0/8";
        await using second = await vm.onion(words(other));
        assert.match((await second.ended).stderr, /another run, process \d+, has made this/);
        const { processes: _, ...now } = await vm.state();
        assert.deepEqual({ ...running, ...now }, running);
        await vm.pings(2, `-i 0.01 ${CAPTURED[0]}`);
        onion.kill("SIGKILL");
        await onion.gone;
        await assertRefused(vm);
      });
      await vm.down();
      assert.deepEqual(await vm.state(), before);
    },
  });
}

Deno.test({
  ...needing(
    "closed end: a run by one card and a TUN of the user's stays closed, and is taken over",
    ...LEAK_NEEDS,
  ),
  fn: async () => {
    await using vm = await Vm.up();
    await vm.sh(
      "sysctl -qw net.ipv4.conf.all.rp_filter=1",
      "for number in 2 3 4 5 6; do ip link delete eth$number; done",
      "ip tuntap add dev tun1 mode tun",
    );
    const before = await vm.state();
    for (const next of ["down", "start"]) {
      await using onion = await vm.stage(3);
      Deno.kill((await onion.ready()).router, "SIGKILL");
      assert.match((await onion.ended).stderr, saying("router 1 .*"));
      await onion.gone;
      await assertRefused(vm);
      if (next === "down") await vm.down();
      else {
        await using onion = await vm.stage(3);
        await vm.pings(2, `-i 0.01 -I ${Address.vm} ${Address.csail}`);
        await endWell(onion);
      }
      assert.deepEqual(await vm.state(), before, next);
    }
  },
});
