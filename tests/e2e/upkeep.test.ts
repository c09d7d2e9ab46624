/**
 * Runs whose host changes. No captured packet leaves in the clear, the run restores what was lost,
 * and it tells the operator.
 *
 * ```
 *              ┌─ tun1 ─► proxy ═ router ─ eth1 ─► gw1
 *   ping ─► VM ┤  down: refused
 *              └─ eth0 ─► gw0, where it must never pass
 * ```
 */
import assert from "node:assert/strict";
import { Capture } from "./support/capture.ts";
import type { Onion } from "./support/onion.ts";
import { needing } from "./support/program.ts";
import { errorsOf } from "./support/tools.ts";
import { Address, Vm, VM_NEEDS } from "./support/vm.ts";

const NEEDS = [...VM_NEEDS, "tcpdump"];

/** A captured ping, from a socket with and without a bound address. */
const CAPTURED = [`-I ${Address.vm} ${Address.csail}`, Address.csail];

const REFUSING = ["18.0.0.0/8 dev lo", "128.0.0.0/8 dev lo"];

/** Asserts that captured pings are refused at once. */
async function assertRefused(vm: Vm): Promise<void> {
  for (const args of CAPTURED) {
    const { code, stdout, stderr } = await vm.ping(`-c 1 -W 0.5 ${args}`);
    assert.notEqual(code, 0, stdout + stderr);
    assert.doesNotMatch(stdout, /bytes from/);
  }
}

/** Asserts that no packet to or from captured blocks passes eth0 meanwhile. */
async function withoutLeak(vm: Vm, act: () => Promise<unknown>): Promise<void> {
  const filter = "net 18.0.0.0/8 or net 128.0.0.0/8";
  const place = { party: "gw0", interface: "vm", answers: Address.vm, filter };
  await using outside = await Capture.start(vm.lab, place);
  await act();
  assert.deepEqual(await outside.packets(), []);
}

/** The messages on stderr of a run that ended well. */
async function toldBy(onion: Onion): Promise<string[]> {
  const { code, stderr } = await onion.end();
  assert.equal(code, 0, stderr);
  return stderr.trimEnd().split("\n").map((line) => line.replace(/^onion proxy: /, ""));
}

const ROUTES_BACK = "warning: lost, and put back: " +
  [9, 900].flatMap((table) =>
    ["18.0.0.0/8", "128.0.0.0/8"].map((block) => `route of ${block} to tun1 in table ${table}`)
  ).join(", ");

Deno.test({
  ...needing("upkeep: leaks nothing while the TUN interface is down, and goes on when it is up", ...NEEDS),
  fn: async (t) => {
    await using vm = await Vm.up();
    const before = await vm.state();

    await t.step("down for a while", async () => {
      await using onion = await vm.stage3();
      const running = await vm.state();
      await withoutLeak(vm, async () => {
        await vm.sh("ip link set tun1 down");
        await assertRefused(vm);
        await onion.stderr.find(/tun1 is down/);
        await vm.sh("ip link set tun1 up");
        await onion.stderr.find(/put back/);
        assert.deepEqual(await vm.state(), running);
        for (const args of CAPTURED) await vm.pings(2, `-i 0.01 ${args}`);
      });
      assert.deepEqual(await toldBy(onion), [
        "warning: tun1 is down: until it is up again, what is captured is refused",
        "info: tun1 is up again",
        ROUTES_BACK,
      ]);
      assert.deepEqual(await vm.state(), before);
    });

    await t.step("down for a moment, repeatedly", async () => {
      await using onion = await vm.stage3();
      await withoutLeak(vm, async () => {
        for (let round = 1; round <= 3; round++) {
          await vm.sh("ip link set tun1 down; ip link set tun1 up");
          await onion.stderr.find(new RegExp(`(put back.*\\n[^]*){${round}}`));
          await vm.pings(2, `-i 0.01 ${CAPTURED[0]}`);
        }
      });
      assert.deepEqual((await toldBy(onion)).filter((line) => line === ROUTES_BACK).length, 3);
      assert.deepEqual(await vm.state(), before);
    });

    await t.step("down at the end", async () => {
      await using onion = await vm.stage3();
      await vm.sh("ip link set tun1 down");
      await onion.stderr.find(/tun1 is down/);
      assert.equal((await toldBy(onion)).length, 1);
      assert.deepEqual(await vm.state(), before);
    });
  },
});

Deno.test({
  ...needing(
    "upkeep: restores routes made by hand that a flapping TUN interface lost, and leaves them",
    ...NEEDS,
  ),
  fn: async () => {
    await using vm = await Vm.up();
    await vm.sh(
      "ip tuntap add dev tun1 mode tun",
      "ip address add 10.5.51.2/24 dev tun1",
      "ip link set tun1 up",
      "ip rule add from 10.0.2.15 table 9 priority 8",
      "ip route add table 9 18/8 dev tun1",
      "ip route add table 9 128/8 dev tun1",
    );
    const before = await vm.state();
    await using onion = await vm.stage3();
    await vm.sh("ip link set tun1 down; ip link set tun1 up");
    await onion.stderr.find(/put back/);
    await vm.pings(2, `-i 0.01 ${CAPTURED[0]}`);
    assert.equal((await onion.end()).code, 0);
    assert.deepEqual(await vm.state(), before);
  },
});

Deno.test({
  ...needing("upkeep: restores flushed routes, also those that refuse", ...NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    const before = await vm.state();
    await using onion = await vm.stage3();
    await vm.sh("ip route flush table 9");
    await onion.stderr.find(/put back/);
    await vm.pings(2, `-i 0.01 ${CAPTURED[0]}`);
    const table = await vm.sh("ip route show table 9");
    for (const route of REFUSING) assert.ok(table.includes(route), table);
    assert.equal((await onion.end()).code, 0);
    assert.deepEqual(await vm.state(), before);
  },
});

Deno.test({
  ...needing("upkeep: restores the routes of a flapping exit, and tells its new MTU", ...NEEDS),
  fn: async (t) => {
    await using vm = await Vm.up();
    await using onion = await vm.stage3();
    const table = () => vm.sh("ip route show table 901");
    const way = await table();

    await t.step("down and up", async () => {
      await withoutLeak(vm, async () => {
        await vm.sh("ip link set eth1 down");
        await onion.stderr.find(/eth1 is down/);
        await vm.sh("ip link set eth1 up");
        await onion.stderr.find(/put back: .*default route of eth1 in table 901\n/);
        assert.equal(await table(), way);
        await vm.pings(2, `-i 0.01 ${CAPTURED[0]}`);
      });
    });

    await t.step("without its address for a while, as after an expired lease", async () => {
      await vm.sh("ip address delete 192.168.201.2/24 dev eth1");
      await onion.stderr.find(/the address 192\.168\.201\.2 of eth1 is gone: .*\n/);
      const { stdout } = await vm.ping(`-c 1 ${CAPTURED[0]}`);
      assert.match(stdout, /Destination Net Unreachable/);
      await vm.sh("ip address add 192.168.201.2/24 dev eth1");
      await onion.stderr.find(/the address 192\.168\.201\.2 of eth1 is back\n/);
      assert.equal(await table(), way);
      await vm.pings(2, `-i 0.01 ${CAPTURED[0]}`);
    });

    await t.step("another MTU", async () => {
      await vm.sh("ip link set eth1 mtu 1400");
      const tooLong = await vm.ping(`-c 1 -M do -s 1400 -I ${Address.vm} ${Address.csail}`);
      assert.deepEqual(errorsOf(tooLong), ["10.5.51.1 icmp_seq=1 Frag needed and DF set (mtu = 1400)"]);
      await vm.sh("ip link set eth1 mtu 1500");
    });

    assert.equal((await onion.end()).code, 0);
    const { rules, routes } = await vm.state();
    assert.doesNotMatch(rules + routes, /table 9|lookup 9/);
  },
});

/** What somebody may take away, and the beginning of what the run says about it. */
const TAKEN: Readonly<Record<string, { commands: readonly string[]; said: RegExp }>> = {
  "the firewall": { commands: ["nft flush ruleset"], said: /put back: firewall table onion_\d+$/m },
  "a chain of it": {
    commands: ["nft flush chain ip $(nft list tables | grep -o 'onion_.*') barrier"],
    said: /put back: firewall table onion_\d+$/m,
  },
  "rules that its manager does not know": {
    commands: [
      "ip rule delete priority 7",
      "ip rule delete priority 7",
      "ip rule delete priority 8",
      "ip rule delete priority 8",
    ],
    said: /put back: rule from 10\.0\.2\.15 to table 9, rule from 0\.0\.0\.0 to table 900, rule for answers/,
  },
  "the address of the TUN, and its routes with it": {
    commands: ["ip -4 address flush dev tun1"],
    said: /put back: address 10\.5\.51\.2\/24 on tun1, route of 18\.0\.0\.0\/8 to tun1/,
  },
  "all routes": {
    commands: ["ip route flush table 9", "ip route flush table 900", "ip route flush table 901"],
    said: /put back: route of 18\.0\.0\.0\/8 to tun1 in table 9, .*default route of eth1 in table 901/,
  },
};

Deno.test({
  ...needing("upkeep: puts back what somebody takes away, and leaks nothing meanwhile", ...NEEDS),
  fn: async (t) => {
    await using vm = await Vm.up();
    const before = await vm.state();
    for (const [name, { commands, said }] of Object.entries(TAKEN)) {
      await t.step(name, async () => {
        await using onion = await vm.stage3();
        const running = await vm.state();
        await withoutLeak(vm, async () => {
          await vm.sh(...commands);
          for (const args of CAPTURED) await vm.ping(`-c 3 -i 0.05 -W 0.2 ${args}`);
          await onion.stderr.find(said);
          for (const args of CAPTURED) await vm.pings(2, `-i 0.01 ${args}`);
        });
        assert.deepEqual(await vm.state(), running);
        assert.match((await toldBy(onion)).join("\n"), said);
        assert.deepEqual(await vm.state(), before);
      });
    }
  },
});

Deno.test({
  ...needing("upkeep: puts both barriers back within a second", ...NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    await using onion = await vm.stage3();
    const from = performance.now();
    await vm.sh("ip rule flush", "ip rule add table main priority 32766", "nft flush ruleset");
    await onion.stderr.find(/put back: rule from .*, firewall table onion_\d+$/m);
    const took = performance.now() - from;
    assert.ok(took < 1000, `${took} ms`);
    await withoutLeak(vm, async () => {
      for (const args of CAPTURED) await vm.pings(2, `-i 0.01 ${args}`);
    });
    assert.equal((await onion.end()).code, 0);
  },
});

Deno.test({
  ...needing("upkeep: puts back the rules of iptables", ...NEEDS, "iptables", "iptables-save"),
  fn: async () => {
    await using vm = await Vm.up();
    const via = ["unshare", "--mount", "sh", "-euc"];
    const hide = 'mount -n --bind /dev/null "$(command -v nft)"; exec "$@"';
    await using onion = await vm.onion(["--stage", "3"], { via: [...via, hide, "sh"] });
    await onion.ready();
    const rules = async () => (await vm.sh("iptables-save")).match(/^.*onion_.*$/gm)?.sort();
    const whole = await rules();
    const losses = ["iptables -t mangle -F", "iptables -t mangle -D OUTPUT 1; iptables -F OUTPUT"];
    for (const [index, commands] of losses.entries()) {
      await withoutLeak(vm, async () => {
        await vm.sh(commands);
        for (const args of CAPTURED) await vm.pings(2, `-i 0.01 ${args}`);
      });
      await onion.stderr.find(new RegExp(`(put back: firewall rule .*\\n[^]*){${index + 1}}`));
      assert.deepEqual(await rules(), whole);
    }
    assert.equal((await onion.end()).code, 0);
    assert.equal(await rules(), undefined);
  },
});

Deno.test({
  ...needing("upkeep: follows the captured address, unless it was named", ...NEEDS),
  fn: async (t) => {
    const renew = [
      `ip address delete ${Address.vm}/24 dev eth0`,
      "ip address add 10.0.2.77/24 dev eth0",
      "ip route add default via 10.0.2.2",
    ];
    const back = [
      "ip address delete 10.0.2.77/24 dev eth0",
      `ip address add ${Address.vm}/24 dev eth0`,
      "ip route add default via 10.0.2.2",
    ];
    await t.step("not named", async () => {
      await using vm = await Vm.up();
      const before = await vm.state();
      await using onion = await vm.stage3();
      await vm.sh(...renew);
      await onion.stderr.find(/10\.0\.2\.15 is gone: packets from 10\.0\.2\.77 are captured now\n/);
      await onion.stderr.find(/put back: rule from 10\.0\.2\.77 to table 9, .*firewall table/);
      const filter = "net 18.0.0.0/8 or net 128.0.0.0/8";
      await using outside = await Capture.start(vm.lab, {
        party: "gw0",
        interface: "vm",
        answers: "10.0.2.77",
        filter,
      });
      for (const args of [`-I 10.0.2.77 ${Address.csail}`, Address.csail]) {
        await vm.pings(2, `-i 0.01 ${args}`);
      }
      assert.deepEqual(await outside.packets(), []);
      assert.equal((await onion.end()).code, 0);
      const { rules, firewall, journals } = await vm.state();
      assert.doesNotMatch(rules + firewall, /10\.0\.2\./);
      assert.equal(journals, before.journals);
    });
    await t.step("named", async () => {
      await using vm = await Vm.up();
      await using onion = await vm.stage3(`--from ${Address.vm}`);
      await vm.sh(...renew);
      await onion.stderr.find(
        /10\.0\.2\.15 is gone from this host: until it is back, what is captured is refused\n/,
      );
      const { code } = await vm.ping(`-c 1 -W 0.5 ${Address.csail}`);
      assert.notEqual(code, 0);
      await vm.sh(...back);
      await onion.stderr.find(/10\.0\.2\.15 is back\n/);
      for (const args of CAPTURED) await vm.pings(2, `-i 0.01 ${args}`);
      assert.equal((await onion.end()).code, 0);
    });
  },
});

Deno.test({
  ...needing("killed run: refuses captured packets until its changes are undone", ...NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    const before = await vm.state();
    await using onion = await vm.stage3();
    await withoutLeak(vm, async () => {
      onion.kill("SIGKILL");
      await onion.gone;
      await assertRefused(vm);
    });
    await using down = await vm.onion(["down"]);
    const { code, stdout, stderr } = await down.ended;
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^undone: refusal of 128\.0\.0\.0\/8 in table 9$/m);
    assert.deepEqual(await vm.state(), before);
    assert.equal((await vm.ping(`-c 1 -I ${Address.vm} ${Address.csail}`)).code, 0);
  },
});
