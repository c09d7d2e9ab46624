/**
 * Many users of one proxy in the practice network, each with its own circuit. A user is an address:
 *
 *     10.0.2.15, captured ──┐
 *     10.5.51.101 ──────────┼──► tun1 ──► proxy ══ a circuit each ══► routers ──► hosts
 *     10.5.51.102, … ───────┘
 */
import assert from "node:assert/strict";
import { logFile } from "./support/classic_logs.ts";
import { needing } from "./support/program.ts";
import { assertAllAnswered } from "./support/tools.ts";
import { Address, endWell, Vm, VM_NEEDS } from "./support/vm.ts";

/** Adds addresses to the VM whose packets are captured too, and returns them. */
async function addUsers(vm: Vm, count: number): Promise<string[]> {
  const users = Array.from({ length: count }, (_, at) => `10.5.51.${101 + at}`);
  await vm.sh(...users.flatMap((user) => [
    `ip address add ${user}/32 dev tun1`,
    `ip rule add from ${user} table 9 priority 9`,
  ]));
  return users;
}

for (const stage of [5, 6]) {
  Deno.test({
    ...needing(
      `stage ${stage}: gives twenty users twenty circuits, and each user its own answers`,
      ...VM_NEEDS,
    ),
    fn: async () => {
      await using vm = await Vm.up();
      await using onion = await vm.stage(stage, "--routers 6 --hops 3");
      const users = [Address.vm, ...await addUsers(vm, 19)];
      await Promise.all(users.map(async (user) => {
        assertAllAnswered(await vm.ping(`-I ${user} -i 0.5 -c 5 -W 5 ${Address.csail}`), 5);
      }));
      const { stdout } = await endWell(onion);
      assert.doesNotMatch(stdout, / dropped | given up/);
      const log = onion.log(logFile(stage, "proxy"));
      const pattern = /^incoming packet, circuit incoming: (\S+), src: 128\.30\.2\.155, dst: (\S+)$/;
      const answered = log.flatMap((line) => {
        const [, circuit = "", user = ""] = pattern.exec(line) ?? [];
        return user === "" ? [] : [{ circuit, user }];
      });
      assert.equal(answered.length, 20 * 5);
      const circuits = new Map(answered.map(({ circuit, user }) => [user, circuit]));
      assert.ok(
        answered.every(({ circuit, user }) => circuits.get(user) === circuit),
        "each user keeps its circuit",
      );
      assert.deepEqual([...circuits.keys()].sort(), users.sort());
      assert.equal(new Set(circuits.values()).size, 20, "no two users share one");
      assert.equal(log.filter((line) => line.startsWith("hop: 1, ")).length, 20);
    },
  });
}

Deno.test({
  ...needing("stage 6: new circuits avoid a router that hangs, and old ones wait for it", ...VM_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    await using onion = await vm.stage(6, "--routers 3 --hops 1");
    const users = await addUsers(vm, 12);
    const [text] = await onion.logged(logFile(6, "proxy"), /^hop: 1, router: \d\n(?=incoming extend-done)/m);
    const { routers } = await onion.ready();
    const hung = routers[Number(/\d\n$/.exec(text)![0]) - 1]!;
    Deno.kill(hung, "SIGSTOP");
    // The chance that none of twelve users chooses this router is 1 %.
    const waiting = vm.ping(`-I ${Address.vm} -i 0.2 -c 5 -W 10 ${Address.csail}`);
    const round = await Promise.all(users.map((user) => vm.ping(`-I ${user} -c 1 -W 10 ${Address.csail}`)));
    Deno.kill(hung, "SIGCONT");
    for (const said of round) assertAllAnswered(said, 1);
    assertAllAnswered(await waiting, 5);
    await endWell(onion);
  },
});
