import { planCommands, planHost } from "../../src/host/host_plan.ts";
import { planTunMtu, tunMtu } from "../../src/host/plan/tun.ts";
import { BY_HAND, commands, host, settingsOf, tunByHand, TWO_CARDS } from "../support/host_state.ts";
import assert from "node:assert/strict";

const BARE = host(TWO_CARDS);
/** A TUN interface that was made by hand. */
const made = (mtu: number) => host({ interfaces: [tunByHand("tun1", [], { mtu })] });

Deno.test("TUN plan: a new interface gets no larger MTU than the onion carries in one piece", () => {
  const cases: [longest: number, mtu: number, commands: string[]][] = [
    [Infinity, 1500, []],
    [65_499, 1500, []],
    [1500, 1500, []],
    [1499, 1499, ["ip link set tun1 mtu 1499"]],
    [1392, 1392, ["ip link set tun1 mtu 1392"]],
  ];
  for (const [longest, mtu, want] of cases) {
    assert.equal(tunMtu("tun1", longest, BARE), mtu);
    const changes = planTunMtu("tun1", longest, BARE).filter(({ isThere }) => !isThere);
    assert.deepEqual(commands(changes), want, `${longest} bytes`);
  }
});

Deno.test("TUN plan: the MTU goes with the interface, and is undone to the default", () => {
  const [change] = planTunMtu("tun1", 1392, BARE);
  assert.deepEqual(change, {
    what: "MTU of 1392 on tun1",
    isThere: false,
    make: { kind: "set MTU", device: "tun1", mtu: 1392 },
    undo: { kind: "command", words: ["ip", "link", "set", "tun1", "mtu", "1500"] },
    goesWithTun: true,
  });
});

Deno.test("TUN plan: an existing interface keeps its MTU", () => {
  for (const mtu of [1500, 9000, 576]) {
    for (const longest of [Infinity, 1392]) {
      assert.equal(tunMtu("tun1", longest, made(mtu)), mtu);
      const changes = planTunMtu("tun1", longest, made(mtu)).filter(({ isThere }) => !isThere);
      assert.deepEqual(changes, [], `${mtu} bytes, ${longest} at most`);
    }
  }
});

Deno.test("TUN plan: comes first in the plan of a run", () => {
  const settings = settingsOf({ stage: "6", linkMtu: "1500", exit: "eth0,eth0,eth0,eth0" });
  const { changes, mtu, from, exits } = planHost(settings, BARE, 4711, "nft", 1392);
  assert.deepEqual(commands(changes).slice(0, 3), [
    "ip link set tun1 mtu 1392",
    "ip address add 10.5.51.2/24 dev tun1",
    "ip link set tun1 up",
  ]);
  assert.deepEqual([mtu, from, exits.length], [1392, 0x0a00_020f, 4]);
  assert.equal(planHost(settingsOf({ stage: "2" }), BARE, 4711, "nft").from, undefined);
});

Deno.test("TUN plan: is printed after the command that creates the TUN", () => {
  const settings = settingsOf({ stage: "6", linkMtu: "1500" });
  assert.deepEqual(planCommands(settings, BARE, 4711, "nft", 1392).slice(0, 2), [
    "ip tuntap add dev tun1 mode tun",
    "ip link set tun1 mtu 1392",
  ]);
  const byHand = planCommands(settings, host(BY_HAND), 4711, "nft", 1392);
  assert.ok(!byHand.some((each) => each.includes("mtu")));
});
