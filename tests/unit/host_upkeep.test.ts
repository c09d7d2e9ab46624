import { type Look, Upkeep } from "../../src/host/upkeep.ts";
import { card, commands, host, plan, rule, tunByHand, TWO_CARDS } from "../support/host_state.ts";
import assert from "node:assert/strict";

/** The routes of a run that is up, besides those of the cards. */
const INTO_TUNNEL = ["18.0.0.0/8", "128.0.0.0/8"].flatMap((block) => [
  `${block} dev tun1 table 9`,
  `${block} dev tun1 src 10.0.2.15 table 900`,
]);
const REFUSALS = [
  ...["18.0.0.0/8", "128.0.0.0/8"].flatMap((block) => [
    `${block} dev lo table 9 metric 4096`,
    `${block} dev lo src 10.0.2.15 table 900 metric 4096`,
  ]),
  "prohibit 0.0.0.0/0 table 901 metric 4096",
];
const OUT = ["192.168.201.0/24 dev eth1 table 901", "default via 192.168.201.1 dev eth1 table 901"];
const ALL = [...INTO_TUNNEL, ...REFUSALS, ...OUT];
const RULES = [
  rule("8: from 10.0.2.15 table 9"),
  rule("8: from 0.0.0.0 table 900"),
  rule("7: from all fwmark 0x6f6e8009 table 254"),
  rule("7: from all fwmark 0x6f6e0385 table 901"),
];

const [ETH0, ETH1] = TWO_CARDS.interfaces as [ReturnType<typeof card>, ReturnType<typeof card>];
const TUN1 = tunByHand("tun1", ["10.5.51.2/24"], { hasCarrier: true });

/** The host with these routes, and with other interfaces if given. */
function hostWith(
  routes: string[],
  { tun1 = TUN1, eth0 = ETH0, eth1 = ETH1, rules = RULES }: {
    tun1?: typeof TUN1;
    eth0?: typeof ETH0;
    eth1?: typeof ETH1;
    rules?: typeof RULES;
  } = {},
) {
  return host({ interfaces: [eth0, eth1, tun1], rules, routes: [...TWO_CARDS.routes, ...routes] });
}

/** The upkeep of a run of stage 3 on two cards that has just started. */
function upkeep(): Upkeep {
  return new Upkeep(plan(host(TWO_CARDS)).needs);
}

/** The result of a look, in words. */
function told({ says, lost }: Look): string[] {
  return [...says.map(({ level, text }) => `${level}: ${text}`), ...lost.map(({ what }) => `lost: ${what}`)];
}

const LOST_TUNNEL = [
  "lost: route of 18.0.0.0/8 to tun1 in table 9",
  "lost: route of 128.0.0.0/8 to tun1 in table 9",
  "lost: route of 18.0.0.0/8 to tun1 in table 900",
  "lost: route of 128.0.0.0/8 to tun1 in table 900",
];

Deno.test("upkeep: says and does nothing while everything is in place", () => {
  assert.deepEqual(told(upkeep().look(hostWith(ALL))), []);
});

Deno.test("upkeep: reports a TUN that goes down once, and puts its routes back when it is up again", () => {
  const run = upkeep();
  const down = hostWith([...REFUSALS, ...OUT], { tun1: { ...TUN1, isUp: false } });
  assert.deepEqual(told(run.look(down)), [
    "warn: tun1 is down: until it is up again, what is captured is refused",
  ]);
  assert.deepEqual(told(run.look(down)), []);
  assert.deepEqual(told(run.look(hostWith([...REFUSALS, ...OUT]))), [
    "info: tun1 is up again",
    ...LOST_TUNNEL,
  ]);
});

Deno.test("upkeep: puts routes back if the TUN was down and up between two looks", () => {
  assert.deepEqual(told(upkeep().look(hostWith([...REFUSALS, ...OUT]))), LOST_TUNNEL);
});

Deno.test("upkeep: an exit that goes down loses only its table's routes", () => {
  const run = upkeep();
  const routes = [...INTO_TUNNEL, ...REFUSALS];
  assert.deepEqual(told(run.look(hostWith(routes, { eth1: { ...ETH1, isUp: false } }))), [
    "warn: eth1 is down: until it is up again, nothing leaves by it",
  ]);
  assert.deepEqual(told(run.look(hostWith(routes))), [
    "info: eth1 is up again",
    "lost: route to neighbours 192.168.201.0/24 of eth1 in table 901",
    "lost: default route of eth1 in table 901",
  ]);
});

Deno.test("upkeep: an exit may disappear and come back", () => {
  const run = upkeep();
  const routes = [...INTO_TUNNEL, ...REFUSALS];
  const without = host({ interfaces: [ETH0, TUN1], rules: RULES, routes });
  assert.deepEqual(told(run.look(without)), [
    "warn: eth1 is gone: until it is up again, nothing leaves by it",
  ]);
  assert.deepEqual(told(run.look(hostWith(routes, { eth1: { ...ETH1, isUp: false } }))), [
    "warn: eth1 is down: until it is up again, nothing leaves by it",
  ]);
  assert.equal(told(run.look(hostWith(routes))).length, 3);
});

Deno.test("upkeep: says that an exit is unplugged, or has lost its address, and that it is back", () => {
  const run = upkeep();
  const unplugged = hostWith(ALL, { eth1: { ...ETH1, hasCarrier: false } });
  assert.deepEqual(told(run.look(unplugged)), [
    "warn: eth1 is unplugged: until it is up again, nothing leaves by it",
  ]);
  assert.deepEqual(told(run.look(hostWith(ALL))), ["info: eth1 is up again"]);
  assert.deepEqual(told(run.look(hostWith(ALL, { eth1: { ...ETH1, addresses: [] } }))), [
    "warn: the address 192.168.201.2 of eth1 is gone: until it is back, nothing leaves by it",
  ]);
  assert.deepEqual(told(run.look(hostWith(ALL))), ["info: the address 192.168.201.2 of eth1 is back"]);
});

Deno.test("upkeep: an exit follows its gateway, unless it was named", () => {
  const [way, ...rest] = [
    "default via 192.168.201.254 dev eth1 metric 100",
    "default via 10.0.2.2 dev eth0",
    "10.0.2.0/24 dev eth0",
  ];
  const replaced = (...more: string[]) =>
    host({
      interfaces: [ETH0, ETH1, TUN1],
      rules: RULES,
      routes: [...rest, ...INTO_TUNNEL, ...REFUSALS, ...more],
    });
  const now = ["192.168.201.0/24 dev eth1 table 901", "default via 192.168.201.254 dev eth1 table 901"];
  const run = upkeep();
  const { lost } = run.look(replaced(way!, ...OUT));
  assert.deepEqual(lost.map(({ what }) => what), [
    "default route of eth1 in table 901, now via 192.168.201.254",
  ]);
  assert.deepEqual(commands(lost), ["ip route replace default via 192.168.201.254 dev eth1 table 901"]);
  assert.deepEqual(told(run.look(replaced(way!, ...now))), []);
  assert.deepEqual(told(run.look(replaced(...now))), [], "also when the main table has none");
  const named = new Upkeep(plan(host(TWO_CARDS), { exit: "eth1@192.168.201.1" }).needs);
  assert.deepEqual(told(named.look(replaced(way!, ...OUT))), []);
});

Deno.test("upkeep: leaves a TUN that is gone to the run, which ends", () => {
  assert.deepEqual(told(upkeep().look(host({ interfaces: [ETH0], routes: [] }))), []);
});

Deno.test("upkeep: puts back routes that somebody deleted, refusals too", () => {
  assert.deepEqual(told(upkeep().look(hostWith([...INTO_TUNNEL, ...OUT]))), [
    "lost: refusal of 18.0.0.0/8 in table 9",
    "lost: refusal of 128.0.0.0/8 in table 9",
    "lost: refusal of 18.0.0.0/8 in table 900",
    "lost: refusal of 128.0.0.0/8 in table 900",
    "lost: refusal of 0.0.0.0/0 in table 901",
  ]);
});

Deno.test("upkeep: reports each change of the TUN's MTU", () => {
  const run = upkeep();
  const narrow = hostWith(ALL, { tun1: { ...TUN1, mtu: 1400 } });
  assert.deepEqual(told(run.look(narrow)), [
    "warn: the MTU of tun1 is 1400 now: this run goes on by the 1500 of its start",
  ]);
  assert.deepEqual(told(run.look(narrow)), []);
  assert.deepEqual(told(run.look(hostWith(ALL))), ["info: the MTU of tun1 is 1500 again"]);
  assert.deepEqual(told(run.look(hostWith(ALL, { eth1: { ...ETH1, mtu: 1400 } }))), [], "exits follow it");
});

Deno.test("upkeep: reports what was put back, and once what could not be", () => {
  const run = upkeep();
  const words = (...tried: { what: string; error?: string }[]) =>
    run.told(tried).map(({ level, text }) => `${level}: ${text}`);
  const failed = { what: "route c", error: "`ip …` failed: Nexthop has invalid gateway" };
  assert.deepEqual(words({ what: "route a" }, failed, { what: "route b" }), [
    "warn: lost, and put back: route a, route b",
    "warn: lost, and cannot be put back yet: route c: `ip …` failed: Nexthop has invalid gateway",
  ]);
  assert.deepEqual(words(failed), []);
  assert.deepEqual(words({ what: "route c" }), ["warn: lost, and put back: route c"]);
  assert.equal(words(failed).length, 1);
  assert.deepEqual(words(), []);
});

Deno.test("upkeep: only events about what the run needs matter", () => {
  const run = upkeep();
  const link = (name: string, isUp: boolean, mtu = 1500, hasCarrier = true) =>
    run.concerns({ kind: "link", name, isUp, hasCarrier, mtu });
  assert.ok(link("tun1", false) && link("eth1", false) && link("tun1", true, 1400));
  assert.ok(link("eth1", true, 1500, false), "its cable");
  assert.ok(!link("tun1", true), "as it was");
  assert.ok(!link("eth0", false) && !link("eth1.5", false));
  assert.ok(run.concerns({ kind: "address", name: "eth0" }), "an exit's address may be on any interface");
  assert.ok(run.concerns({ kind: "default route", table: 254 }), "an exit may have another gateway");
  assert.ok(run.concerns({ kind: "rule" }));
  const route = (table: number) => run.concerns({ kind: "route", table });
  assert.ok(route(9) && route(901) && !route(254));
  assert.ok(run.concerns({ kind: "much" }));

  run.look(hostWith(ALL, { eth1: { ...ETH1, isUp: false } }));
  assert.ok(link("eth1", true), "up again");
});

Deno.test("upkeep: puts back rules, the address of the TUN, and the firewall", () => {
  const run = upkeep();
  assert.deepEqual(told(run.look(hostWith(ALL, { rules: RULES.slice(2) }))), [
    "lost: rule from 10.0.2.15 to table 9",
    "lost: rule from 0.0.0.0 to table 900",
  ]);
  const narrower = [rule("8: from 10.0.2.15 table 9", "iif"), ...RULES.slice(1)];
  assert.deepEqual(told(run.look(hostWith(ALL, { rules: narrower }))), [
    "lost: rule from 10.0.2.15 to table 9",
  ]);
  assert.deepEqual(told(run.look(hostWith(ALL, { tun1: { ...TUN1, addresses: [] } }))), [
    "lost: address 10.5.51.2/24 on tun1",
  ]);
  assert.deepEqual(told(run.look(hostWith(ALL), false)), ["lost: firewall table onion_4711"]);
});

Deno.test("upkeep: notices a sysctl that somebody set back, until that cannot be put back", () => {
  const STRICT = { "net.ipv4.conf.all.rp_filter": "1", "net.ipv4.conf.eth0.rp_filter": "0" };
  const run = new Upkeep(plan(host({ ...TWO_CARDS, sysctls: STRICT })).needs);
  const lacks = (own: string) =>
    run.lacksSysctl((name) => ({ ...STRICT, "net.ipv4.conf.eth0.rp_filter": own })[name]);
  assert.deepEqual([lacks("2"), lacks("0")], [false, true]);
  run.told([{ what: "loose reverse path filter on eth0", error: "Read-only file system" }]);
  assert.equal(lacks("0"), false);
});

Deno.test("upkeep: says once that the captured address is gone, and that it is back", () => {
  const run = upkeep();
  const gone = hostWith(ALL, { eth0: { ...ETH0, addresses: [] } });
  assert.ok(run.lacksFrom(gone));
  assert.deepEqual(told(run.look(gone)), [
    "warn: 10.0.2.15 is gone from this host: until it is back, what is captured is refused",
  ]);
  assert.deepEqual(told(run.look(gone)), []);
  assert.ok(run.concerns({ kind: "default route", table: 254 }));
  assert.deepEqual(told(run.look(hostWith(ALL))), ["info: 10.0.2.15 is back"]);
});

Deno.test("upkeep: follows the captured address, and drops what only the old one needed", () => {
  const run = upkeep();
  const changed = { ...TWO_CARDS, interfaces: [card("eth0", ["10.0.2.77/24"]), ETH1] };
  const after = hostWith(ALL, { eth0: card("eth0", ["10.0.2.77/24"]) });
  const { dropped, says } = run.follow(plan(host(changed)).needs, after);
  assert.deepEqual(dropped.map(({ what }) => what), [
    "rule from 10.0.2.15 to table 9",
    "route of 18.0.0.0/8 to tun1 in table 900",
    "route of 128.0.0.0/8 to tun1 in table 900",
    "firewall table onion_4711",
  ]);
  assert.deepEqual(says.map(({ text }) => text), [
    "10.0.2.15 is gone: packets from 10.0.2.77 are captured now",
  ]);
  assert.equal(told(run.look(after))[0], "lost: rule from 10.0.2.77 to table 9");
});
