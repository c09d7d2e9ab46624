/**
 * The two barriers that keep captured packets in the tunnel. Either holds without the other, also
 * after a killed run, when nobody puts anything back.
 *
 * ```
 *              ┌─ tun1 ─► proxy ═ router ─ eth1 ─► gw1
 *   ping ─► VM ┤
 *              └─ eth0 ─► gw0, where no captured packet must pass
 * ```
 */
import assert from "node:assert/strict";
import { Capture } from "./support/capture.ts";
import { needing } from "./support/program.ts";
import { Address, Vm, VM_NEEDS } from "./support/vm.ts";

const NEEDS = [...VM_NEEDS, "tcpdump"];

/** A ping from an unbound socket, and one from a socket with the captured address. */
const CAPTURED = [Address.csail, `-I ${Address.vm} ${Address.csail}`];

/** A ping that only the firewall holds back, because the kernel sends it by its card. */
const BOUND_TO_CARD = `-I eth0 ${Address.csail}`;

/** Asserts that each ping fails, and that none leaves by eth0. */
async function assertClosed(vm: Vm, pings: readonly string[] = [...CAPTURED, BOUND_TO_CARD]): Promise<void> {
  const filter = "net 18.0.0.0/8 or net 128.0.0.0/8";
  await using outside = await Capture.start(vm.lab, {
    party: "gw0",
    interface: "vm",
    answers: Address.vm,
    filter,
  });
  for (const args of pings) {
    const { code, stdout, stderr } = await vm.ping(`-c 2 -i 0.1 -W 0.3 ${args}`);
    assert.notEqual(code, 0, stdout + stderr);
  }
  assert.deepEqual(await outside.packets(), []);
}

/** Ways to take one barrier away. */
const LOSSES: Readonly<Record<string, readonly string[]>> = {
  "without the firewall": ["nft flush ruleset"],
  "without rules": ["ip rule flush", "ip rule add table main priority 32766"],
  "without routes": ["ip route flush table 9", "ip route flush table 900"],
  "behind a rule of somebody else": ["ip rule add table main priority 5"],
};

Deno.test({
  ...needing("barriers: a killed run stays closed by either one", ...NEEDS),
  fn: async (t) => {
    for (const [name, commands] of Object.entries(LOSSES)) {
      await t.step(name, async () => {
        await using vm = await Vm.up();
        await using onion = await vm.stage3();
        onion.kill("SIGKILL");
        await onion.gone;
        await assertClosed(vm);
        await vm.sh(...commands);
        await assertClosed(vm, name === "without the firewall" ? CAPTURED : undefined);
      });
    }
  },
});

Deno.test({
  ...needing("barriers: the firewall rejects what rules do not hold", ...NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    await using onion = await vm.stage3();
    await vm.sh("ip rule add table main priority 5");
    for (const args of CAPTURED) {
      const { stdout } = await vm.ping(`-c 1 -W 0.3 ${args}`);
      assert.match(stdout, /From 10\.0\.2\.15 icmp_seq=1 Packet filtered/);
    }
    await vm.sh("ip rule delete priority 5");
    await vm.pings(2, `-i 0.01 ${Address.csail}`);
    assert.equal((await onion.end()).code, 0);
  },
});

Deno.test({
  ...needing("barriers: answers to connections from captured blocks leave by the card", ...NEEDS),
  fn: async (t) => {
    await using vm = await Vm.up();
    const outside = "18.7.7.7";
    // A strict filter would drop packets from where the tunnel leads.
    await vm.sh("sysctl -qw net.ipv4.conf.eth0.rp_filter=1");
    assert.equal((await vm.at("gw0", `ip address add ${outside}/32 dev lo`)).code, 0);
    const assertAnswered = async () => {
      const { code, stdout } = await vm.at("gw0", `ping -n -c 2 -i 0.01 -w 5 -I ${outside} ${Address.vm}`);
      assert.equal(code, 0, stdout);
    };
    await assertAnswered();
    await using onion = await vm.stage3();
    await t.step("during a run", async () => {
      await assertAnswered();
      await vm.pings(2, `-i 0.01 ${Address.csail}`);
    });
    await t.step("while the TUN is down", async () => {
      await vm.sh("ip link set tun1 down");
      await assertAnswered();
    });
    onion.kill("SIGKILL");
    await onion.gone;
    await t.step("after a killed run", async () => {
      await assertAnswered();
      await assertClosed(vm);
    });
  },
});
