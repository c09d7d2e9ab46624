/**
 * However and whenever stage 3 ends, the host is restored, or `onion down` or the next start can
 * restore it.
 */
import assert from "node:assert/strict";
import { Flood } from "./support/flood.ts";
import { childrenOf, type End, type Onion, STAYS_CLOSED } from "./support/onion.ts";
import { needing, run, scratchDirectory } from "./support/program.ts";
import { Address, endWell, Vm, VM_NEEDS, words } from "./support/vm.ts";

/** The programs that change a host. */
const PROGRAMS = ["ip", "nft"];

/**
 * In the place of each program: numbers all steps, and kills the run at one of them, before or
 * after the real program has done it. Each line of a batch is a step. Simultaneous calls get
 * different numbers, because with -C no shell overwrites a file of another.
 */
const KILLER = (real: string) =>
  `#!/bin/sh -C
step() {
  call=1
  until { true >"$CALLS/$call"; } 2>/dev/null; do call=$((call + 1)); done
  [ "$call $KILL" != "$AT before" ] || { kill -KILL $PPID; exit 1; }
  ${real} "$@" </dev/null
  code=$?
  [ "$call $KILL" != "$AT after" ] || { kill -KILL $PPID; exit $code; }
  return $code
}
case " $* " in
  *" -batch - ") ;;
  *) step "$@"; exit ;;
esac
options=
for word; do case $word in -batch | -) ;; *) options="$options $word" ;; esac; done
number=0
while read -r line; do
  number=$((number + 1))
  step $options $line || { echo "Command failed -:$number" >&2; exit 1; }
done
`;

/** Runs of stage 3 that are killed at a given step. */
class Steps implements Disposable {
  readonly #scratch = scratchDirectory();
  readonly #vm: Vm;
  readonly #args: string;

  private constructor(vm: Vm, args: string) {
    this.#vm = vm;
    this.#args = args;
  }

  /** @param args further options for stage 3 */
  static async of(vm: Vm, args: string): Promise<Steps> {
    const steps = new Steps(vm, args);
    for (const program of PROGRAMS) {
      const real = (await run("sh", ["-c", `command -v ${program}`])).stdout.trim();
      Deno.writeTextFileSync(`${steps.#scratch.path}/${program}`, KILLER(real), { mode: 0o755 });
    }
    return steps;
  }

  /** The number of steps of a run until it is ready, and until it has ended. */
  async count(): Promise<{ start: number; all: number }> {
    using calls = scratchDirectory();
    const taken = () => [...Deno.readDirSync(calls.path)].length;
    await using onion = await this.#start(calls.path, 0, "before");
    await onion.ready();
    const start = taken();
    await endWell(onion);
    return { start, all: taken() };
  }

  /** Starts a run and kills it at this step. Ends the run to reach a later step. */
  async kill(when: "before" | "after", at: number): Promise<End> {
    using calls = scratchDirectory();
    await using onion = await this.#start(calls.path, at, when);
    // Most runs are killed before they are ready.
    await onion.stdout.find(/^ready: /m).then(() => onion.kill("SIGINT"), () => {});
    const end = await onion.ended;
    await onion.gone;
    return end;
  }

  #start(calls: string, at: number, when: string) {
    const path = `PATH=${this.#scratch.path}:${Deno.env.get("PATH")}`;
    const via = ["env", path, `CALLS=${calls}`, `AT=${at}`, `KILL=${when}`];
    return this.#vm.onion(["--stage", "3", ...words(this.#args)], { via });
  }

  [Symbol.dispose](): void {
    this.#scratch[Symbol.dispose]();
  }
}

/** A strict reverse-path filter, which a run loosens. */
const STRICT = "sysctl -qw net.ipv4.conf.all.rp_filter=1";

/** A host on which every kind of change is needed, and the options of a run there. */
const TWO_CARDS = {
  prepare: [STRICT, "ip address flush dev eth1", "ip link set eth1 down"],
  args: "--exit eth1@192.168.201.1",
};

/** The same with a TUN interface that stays, so that the kernel removes nothing by itself. */
const ONE_CARD = {
  prepare: [
    STRICT,
    "for number in 1 2 3 4 5 6; do ip link delete eth$number; done",
    "ip tuntap add dev tun1 mode tun",
  ],
  args: "",
};

/** Kills a run on a host at each step, undoes it, and checks the host. */
async function killAtEach(
  t: Deno.TestContext,
  { prepare, args }: { prepare: string[]; args: string },
  rounds: readonly {
    phase: "start" | "end";
    when: "before" | "after";
    undo: "onion down" | "the next start";
  }[],
): Promise<void> {
  await using vm = await Vm.up();
  await vm.sh(...prepare);
  const before = await vm.state();
  using steps = await Steps.of(vm, args);
  const { start, all } = await steps.count();
  assert.deepEqual(await vm.state(), before);
  // A run reads addresses, rules and routes, changes them, and creates the firewall table.
  assert.ok(start >= 10 && all >= start + 5, `${start} steps to start, ${all} in all`);
  for (const { phase, when, undo } of rounds) {
    const [first, last] = phase === "start" ? [1, start] : [start + 1, all];
    await t.step(`${when} each of ${last - first + 1} steps of its ${phase}; undone by ${undo}`, async () => {
      for (let at = first; at <= last; at++) {
        const { signal } = await steps.kill(when, at);
        assert.equal(signal, "SIGKILL");
        if (undo === "onion down") await vm.down();
        else await startAndEnd(vm, args);
        assert.deepEqual(await vm.state(), before, `step ${at}`);
      }
    });
  }
}

Deno.test({
  ...needing(
    "killed run: what it left at any step can be undone",
    ...VM_NEEDS,
    "sysctl",
  ),
  fn: (t) =>
    killAtEach(t, TWO_CARDS, [
      { phase: "start", when: "before", undo: "onion down" },
      { phase: "end", when: "before", undo: "onion down" },
    ]),
});

Deno.test({
  ...needing(
    "killed run: what it left at any step can be undone, if the TUN interface stays",
    ...VM_NEEDS,
    "sysctl",
  ),
  fn: (t) =>
    killAtEach(t, ONE_CARD, [
      { phase: "start", when: "after", undo: "the next start" },
      { phase: "end", when: "after", undo: "the next start" },
    ]),
});

Deno.test({
  ...needing(
    "killed run: what it left can be undone after being killed while undoing",
    ...VM_NEEDS,
    "sysctl",
  ),
  fn: async () => {
    await using vm = await Vm.up();
    await vm.sh(...TWO_CARDS.prepare);
    const before = await vm.state();
    using steps = await Steps.of(vm, TWO_CARDS.args);
    const { start } = await steps.count();
    // Each attempt gets at least as far as the one before.
    for (let at = 1; at <= 2 * start; at += 3) await steps.kill("after", at);
    await vm.down();
    assert.deepEqual(await vm.state(), before);
  },
});

/** What happens to a run, its exit code, and the lines that it prints. */
interface Accident {
  readonly happens: (vm: Vm, onion: Onion, router: number) => unknown;
  readonly code: number;
  readonly line?: RegExp;
  /** Whether the run leaves changes, which `onion down` must undo. */
  readonly isLeft?: boolean;
}

const ACCIDENTS: Readonly<Record<string, Accident>> = {
  "Ctrl+C": { happens: (_, onion) => onion.kill("SIGINT"), code: 0 },
  "SIGTERM": { happens: (_, onion) => onion.kill("SIGTERM"), code: 0 },
  "SIGKILL": { happens: (_, onion) => onion.kill("SIGKILL"), code: 128 + 9, isLeft: true },
  "its router is killed": {
    happens: (_, __, router) => Deno.kill(router, "SIGKILL"),
    code: 1,
    line: new RegExp(`^${STAYS_CLOSED}onion: router 1 \\(pid \\d+\\) died: SIGKILL; .*\n$`),
    isLeft: true,
  },
  "its TUN interface is deleted": {
    happens: (vm) => vm.sh("ip link delete tun1"),
    code: 1,
    line: new RegExp(`^${STAYS_CLOSED}onion: packets stopped: .*\n$`),
    isLeft: true,
  },
};

Deno.test({
  ...needing("ending: a run that ends during a flood leaves nothing, or what onion down undoes", ...VM_NEEDS),
  fn: async (t) => {
    await using vm = await Vm.up();
    const before = await vm.state();
    for (const [name, { happens, code, line = /^$/, isLeft = false }] of Object.entries(ACCIDENTS)) {
      await t.step(name, async () => {
        await using onion = await vm.stage3();
        {
          await using _ = await Flood.start(vm);
          const [router] = childrenOf(onion.pid);
          await happens(vm, onion, router!);
          const end = await onion.ended;
          assert.deepEqual([end.code, line.test(end.stderr)], [code, true], end.stderr);
          await onion.gone;
        }
        if (isLeft) await vm.down();
        assert.deepEqual(await vm.state(), before);
      });
    }
  },
});

Deno.test({
  ...needing("removed card: is reported, ends no run, and needs no undoing", ...VM_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    const before = await vm.state();
    await using onion = await vm.stage3();
    await vm.sh("ip link delete eth1");
    assert.match((await vm.ping(`-c 1 -W 0.5 ${Address.csail}`)).stdout, / 100% packet loss/);
    await onion.stderr.find(
      /^onion proxy: warning: eth1 is gone: until it is up again, nothing leaves by it$/m,
    );
    const { code, stdout } = await onion.end();
    assert.equal(code, 0);
    assert.match(stdout, /^router 1: dropped 1 exit-refused: /m);
    const { rules, firewall, journals, processes } = await vm.state();
    assert.deepEqual({ ...before, rules, firewall, journals, processes }, before);
  },
});

/** Starts a run, which undoes leftovers, and ends it. */
async function startAndEnd(vm: Vm, args: string): Promise<void> {
  await using onion = await vm.stage3(args);
  await endWell(onion);
}
