/**
 * A router that dies during a run is restarted. Meanwhile, its packets are refused or take another
 * way.
 */
import assert from "node:assert/strict";
import { childrenOf } from "./support/onion.ts";
import { needing, run, scratchDirectory } from "./support/program.ts";
import { killRouters } from "./support/restarts.ts";
import { Address, endWell, Vm, VM_NEEDS } from "./support/vm.ts";

/** Max milliseconds from the death of a router to an answer to a ping. */
const MOST = 2000;

for (const { stage, args } of [{ stage: 4, args: "" }, { stage: 5, args: "" }, { stage: 6, args: "" }]) {
  Deno.test({
    ...needing(`stage ${stage}: a killed router is restarted, and pings are answered again`, ...VM_NEEDS),
    fn: async (t) => {
      await using vm = await Vm.up();
      const before = await vm.state();
      await using onion = await vm.stage(stage, args);
      const { routers } = await onion.ready();
      const took = await killRouters(vm, onion, 4);
      await t.step(`answered after ${took.map((ms) => ms.toFixed()).join(", ")} ms`, () => {
        assert.ok(took.every((ms) => ms < MOST));
      });
      await vm.pings(5, `-I ${Address.vm} -i 0.05 ${Address.csail}`);
      const { code, stdout, stderr } = await onion.end();
      assert.equal(code, 0);
      await onion.gone;
      for (const number of [1, 2, 3, 4]) {
        const pid = routers[number - 1]!;
        const [, next] = new RegExp(
          `^onion proxy: warning: router ${number} \\(pid ${pid}\\) died: SIGKILL\\n` +
            `onion proxy: info: router ${number} \\(pid (\\d+)\\) has been started in its place\\n` +
            `onion proxy: info: router ${number} is up again after \\d\\.\\d s\\n`,
          "m",
        ).exec(stderr) ?? assert.fail(stderr);
        const hello = new RegExp(`^router: ${number}, pid: (\\d+), port: \\d+`);
        for (const file of ["proxy", `router${number}`]) {
          const pids = onion.log(`stage${stage}.${file}.out`).flatMap((line) => hello.exec(line)?.[1] ?? []);
          assert.deepEqual(pids, [`${pid}`, next], `${file} introduces both, in one log`);
        }
        assert.match(stdout, new RegExp(`^router ${number}: restarted once$`, "m"));
      }
      assert.deepEqual(await vm.state(), before);
    },
  });
}

Deno.test({
  ...needing("stage 4: the packets of a dead router are refused until it is back", ...VM_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    // The only router, so it has every packet.
    await using onion = await vm.stage(4, "--routers 1");
    const { router } = await onion.ready();
    await vm.pings(1, `-I ${Address.vm} ${Address.csail}`);
    // The new process is held as soon as it is there, so that it stays away for a while.
    Deno.kill(router, "SIGKILL");
    const [, next] = await onion.stderr.find(/\(pid (\d+)\) has been started/);
    Deno.kill(Number(next), "SIGSTOP");
    const { code, stdout } = await vm.ping(`-c 2 -i 0.2 -I ${Address.vm} ${Address.csail}`);
    assert.equal(code, 1);
    assert.equal(
      stdout.match(new RegExp(`From ${Address.hop} .* Destination Net Unreachable`, "g"))?.length,
      2,
    );
    Deno.kill(Number(next), "SIGCONT");
    await onion.stderr.find(/router 1 is up again/);
    await vm.pings(2, `-I ${Address.vm} -i 0.05 ${Address.csail}`);
    assert.equal((await onion.end()).code, 0);
  },
});

Deno.test({
  ...needing("stage 6: Ctrl+C while routers come back ends the run well", ...VM_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    const before = await vm.state();
    for (const wait of [0, 50, 120, 200, 300]) {
      await using onion = await vm.stage(6);
      const { routers } = await onion.ready();
      for (const router of routers) Deno.kill(router, "SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, wait));
      const { code } = await onion.end();
      assert.equal(code, 0, `after ${wait} ms`);
      assert.deepEqual(await vm.state(), before);
    }
  },
});

Deno.test({
  ...needing("stage 6: JSON events and the summary tell a restart", ...VM_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    await using onion = await vm.onion(["--stage", "6", "--json", "--log-level", "error"]);
    const [line] = await onion.stdout.find(/^\{.*"event":"ready".*$/m);
    const [, router] = JSON.parse(line).routers as { pid: number }[];
    assert.ok(childrenOf(onion.pid).includes(router!.pid));
    Deno.kill(router!.pid, "SIGKILL");
    await onion.stdout.find(/"event":"router-restarted"/);
    const { stdout, stderr } = await onion.end();
    assert.equal(stderr, "");
    const events = stdout.trimEnd().split("\n").map((each) => JSON.parse(each) as Record<string, unknown>);
    const find = (name: string) => events.find(({ event }) => event === name)!;
    assert.partialDeepStrictEqual(find("router-died"), {
      router: 2,
      reason: `router 2 (pid ${router!.pid}) died: SIGKILL`,
    });
    const { router: number, pid, after } = find("router-restarted");
    assert.deepEqual([number, typeof pid, typeof after], [2, "number", "number"]);
    const { restarts, counters } = find("ended") as { restarts: unknown; counters: { proxy: unknown } };
    assert.deepEqual(restarts, { "router 2": 1 });
    assert.partialDeepStrictEqual(counters.proxy, { "routers-lost": 1, "routers-restarted": 1 });
  },
});

Deno.test({
  ...needing("stage 6: the captures of a restarted router go on, too", ...VM_NEEDS, "tcpdump"),
  fn: async () => {
    await using vm = await Vm.up();
    using seen = scratchDirectory();
    await using onion = await vm.stage(6, `--routers 3 --hops 2 --pcap ${seen.path}`);
    const { routers } = await onion.ready();
    const pings = () => vm.pings(2, `-I ${Address.vm} -i 0.05 ${Address.csail}`);
    await pings();
    for (const [index, router] of routers.entries()) {
      Deno.kill(router, "SIGKILL");
      await onion.stderr.find(new RegExp(`router ${index + 1} is up again`));
      await pings();
    }
    assert.equal((await onion.end()).code, 0);
    const requestsIn = async (name: string) => {
      const { code, stdout } = await run("tcpdump", ["-n", "-r", `${seen.path}/${name}.pcapng`]);
      assert.equal(code, 0);
      return stdout.match(/ICMP echo request/g)?.length ?? 0;
    };
    const worlds = await Promise.all([1, 2, 3].map((number) => requestsIn(`router${number}.world`)));
    const left = worlds.reduce((sum, each) => sum + each);
    assert.ok(left >= 8);
    assert.equal(left, await requestsIn("tunnel"), "no process has overwritten what another wrote");
  },
});

Deno.test({
  ...needing("stage 6: a router that is stopped for a while is not restarted", ...VM_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    await using onion = await vm.stage(6, "--routers 2 --hops 1");
    const { routers } = await onion.ready();
    for (const router of routers) Deno.kill(router, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 7000));
    for (const router of routers) Deno.kill(router, "SIGCONT");
    await vm.pings(2, `-I ${Address.vm} -i 0.05 ${Address.csail}`);
    await endWell(onion);
  },
});
