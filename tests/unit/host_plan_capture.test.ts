import { planHost } from "../../src/host/host_plan.ts";
import {
  BY_HAND,
  commands,
  host,
  plan,
  refuses,
  rule,
  settingsOf,
  TWO_CARDS,
  undoing,
} from "../support/host_state.ts";
import assert from "node:assert/strict";

Deno.test("capture: a rule with other conditions is another rule", () => {
  const withRule = (theirs: ReturnType<typeof rule>, priority = 8) =>
    commands(plan(host({ ...TWO_CARDS, rules: [theirs] })).changes).includes(
      `ip rule add from 10.0.2.15 table 9 priority ${priority}`,
    );
  assert.ok(!withRule(rule("5: from 10.0.2.15 table 9")), "the same at another priority");
  assert.ok(!withRule(rule("32765: from 10.0.2.15 table 9")));
  assert.ok(withRule(rule("32767: from 10.0.2.15 table 9")), "a rule after the main table's has no effect");
  assert.ok(withRule(rule("5: from 10.0.2.15 table 9", "iif")));
  assert.ok(withRule(rule("5: from 10.0.2.15 fwmark 0x1 table 9")));
  assert.ok(withRule(rule("8: from 10.0.2.0/24 table 9")));
  assert.ok(withRule(rule("8: from 10.0.2.15 table 8"), 7), "theirs would come first");
});

Deno.test("capture: refuses a priority where undoing might delete another rule", () => {
  const message = "priority 8 is in use: it has a narrower rule from 10.0.2.15 to table 9";
  for (
    const twin of [rule("8: from 10.0.2.15 table 9", "iif"), rule("8: from 10.0.2.15 fwmark 0x1 table 9")]
  ) {
    refuses(host({ ...TWO_CARDS, rules: [twin] }), {}, message, "choose another with --priority");
    assert.doesNotThrow(() => plan(host({ ...TWO_CARDS, rules: [twin] }), { priority: "6" }));
  }
});

Deno.test("capture: refuses a table that leads elsewhere", () => {
  const another = "choose another with --table";
  const withRoutes = (...routes: string[]) => ({ ...TWO_CARDS, routes: [...TWO_CARDS.routes, ...routes] });
  // The owner of a table does not want our packets in it, captured or not.
  for (const foreign of ["18.0.0.0/8", "18.1.0.0/16", "10.0.0.0/8", "default"]) {
    const shown = foreign === "default" ? "0.0.0.0/0" : foreign;
    refuses(
      host(withRoutes(`${foreign} via 10.9.0.1 dev wg0 table 9`)),
      {},
      `table 9 is in use: it leads ${shown} to wg0`,
      another,
    );
  }
  refuses(
    host(withRoutes("18.1.0.0/16 table 9")),
    {},
    "table 9 is in use: it leads 18.1.0.0/16 to nowhere",
    another,
  );
  refuses(
    host(withRoutes("18.0.0.0/8 dev tun1 table 9")),
    { tun: "tun2" },
    "table 9 is in use: it leads 18.0.0.0/8 to tun1",
    another,
  );
  assert.doesNotThrow(() => plan(host(withRoutes("default via 10.9.0.1 dev wg0 table 9")), { table: "10" }));
});

Deno.test("capture: a table made by hand may lead elsewhere, but not with captured packets", () => {
  const withRoute = (text: string) => host({ ...BY_HAND, routes: [...BY_HAND.routes, `${text} table 9`] });
  assert.doesNotThrow(() => plan(withRoute("default via 10.0.2.2 dev eth0")));
  assert.doesNotThrow(() => plan(withRoute("10.0.0.0/8 via 10.0.2.2 dev eth0")));
  refuses(
    withRoute("18.26.0.0/16 via 10.0.2.2 dev eth0"),
    {},
    "table 9 is in use: it leads 18.26.0.0/16 to eth0",
    "choose another with --table",
  );
});

Deno.test("capture: routes single addresses, and everything", () => {
  const routes = (capture: string, ...more: string[]) =>
    commands(plan(host({ ...TWO_CARDS, routes: [...TWO_CARDS.routes, ...more] }), { capture }).changes)
      .filter((each) => /^ip route add .*table 9 /.test(each));
  const refusal = (block: string) => `ip route add ${block} dev lo table 9 metric 4096`;
  assert.deepEqual(routes("128.30.2.155"), [
    "ip route add table 9 128.30.2.155 dev tun1",
    refusal("128.30.2.155"),
  ]);
  assert.deepEqual(routes("0.0.0.0/0"), ["ip route add table 9 0.0.0.0/0 dev tun1", refusal("0.0.0.0/0")]);
  assert.deepEqual(routes("128.30.2.155", "128.30.2.155 dev tun1 table 9"), [refusal("128.30.2.155")]);
  assert.deepEqual(routes("0.0.0.0/0", "default dev tun1 table 9"), [refusal("0.0.0.0/0")]);
});

Deno.test("capture: routes that stay refuse its blocks while the tunnel is down", () => {
  const refusals = (...more: string[]) => {
    const state = host({ ...TWO_CARDS, routes: [...TWO_CARDS.routes, ...more] });
    return plan(state, { capture: "18.0.0.0/8" }).changes.filter(({ what }) =>
      /^refusal .* in table 9$/.test(what)
    );
  };
  const [refusal] = refusals();
  assert.equal(refusal?.goesWithTun, undefined, "recorded, because the kernel does not remove it");
  assert.deepEqual(refusals("18.0.0.0/8 dev lo table 9 metric 4096"), [], "made by hand");
  assert.deepEqual(refusals("prohibit 18.0.0.0/8 table 9 metric 4096"), [], "of an older version");
  // Each would come before the route into the tunnel, refuse something else, or not refuse.
  for (
    const other of [
      "prohibit 18.0.0.0/8 table 9",
      "prohibit 18.1.0.0/16 table 9 metric 4096",
      "18.0.0.0/8 table 9 metric 4096",
    ]
  ) assert.throws(() => refusals(other), /table 9 is in use: it leads 18\.\d\.0\.0\/\d+ to nowhere/, other);
  assert.equal(refusals("prohibit 18.0.0.0/8 table 10 metric 4096").length, 1);
});

Deno.test("capture: what a dead run keeps closed is in nobody's way", () => {
  const refusal = "prohibit 18.1.0.0/16 table 9 metric 4096";
  const left = { ...TWO_CARDS, routes: [...TWO_CARDS.routes, refusal], rules: BY_HAND.rules };
  const options = { capture: "18.0.0.0/8" };
  refuses(
    host(left),
    options,
    "table 9 is in use: it leads 18.1.0.0/16 to nowhere",
    "choose another with --table",
  );
  const closed = ["rule from 10.0.2.15 to table 9", "refusal of 18.1.0.0/16 in table 9"];
  const { changes, there } = plan(host({ ...left, closed }), options);
  assert.ok(!changes.some(({ what }) => what === closed[0]));
  assert.ok(there.includes(closed[0]!) && !there.includes(closed[1]!), "only the rule is taken over");
});

Deno.test("capture: its rules, refusals and firewall keep it closed, and nothing else does", () => {
  const closing = (options: Parameters<typeof plan>[1]) =>
    plan(host(TWO_CARDS), options).changes.filter(({ keepsClosed }) => keepsClosed).map(({ what }) => what);
  assert.deepEqual(closing({ capture: "18.0.0.0/8" }), [
    "rule from 10.0.2.15 to table 9",
    "route of 18.0.0.0/8 to tun1 in table 9",
    "refusal of 18.0.0.0/8 in table 9",
    "rule from 0.0.0.0 to table 900",
    "route of 18.0.0.0/8 to tun1 in table 900",
    "refusal of 18.0.0.0/8 in table 900",
    "rule for answers past table 9",
    "firewall table onion_4711",
  ]);
  assert.deepEqual(closing({ stage: "2" }), []);
});

Deno.test("capture: ignores a route into the tunnel that comes after the refusal", () => {
  const routes = [...BY_HAND.routes.slice(0, -2), "18.0.0.0/8 dev tun1 table 9 metric 5000"];
  const made = commands(plan(host({ ...BY_HAND, routes }), { capture: "18.0.0.0/8" }).changes);
  assert.equal(made[0], "ip route add table 9 18.0.0.0/8 dev tun1");
});

Deno.test("firewall: with iptables, a comment tells our rules from others", () => {
  const made = commands(plan(host(TWO_CARDS), {}, "iptables").changes);
  const packets = "-s 10.0.2.15 -d 18.0.0.0/8,128.0.0.0/8";
  const past = `${packets} '!' -o tun1 -m mark '!' --mark 0x6f6e0000/0xffff0000`;
  const comment = "-m comment --comment onion_4711";
  const rules = made.filter((each) => each.startsWith("iptables"));
  assert.deepEqual(rules, [
    `iptables -w -t mangle -A OUTPUT ${packets} -m mark --mark 0 -m conntrack --ctdir REPLY ` +
    `--ctorigdstport 0:32767 -j MARK --set-mark 0x6f6e8009 ${comment}`,
    `iptables -w -t filter -A OUTPUT ${past} -j REJECT --reject-with icmp-admin-prohibited ${comment}`,
    `iptables -w -t mangle -A POSTROUTING ${past} -j DROP ${comment}`,
    `iptables -w -t filter -A OUTPUT -o tun1 -m mark --mark 0x6f6e0385 -j DROP ${comment}`,
    `iptables -w -t filter -A OUTPUT -s 192.168.201.2 -p tcp --tcp-flags RST RST -j DROP ${comment}`,
  ]);
  const undone = undoing(plan(host(TWO_CARDS), {}, "iptables").changes).slice(0, 5);
  assert.deepEqual(undone, rules.map((each) => each.replace(" -A ", " -D ")).toReversed());
});

Deno.test("firewall: there are no rules without a tool", () => {
  const made = commands(planHost(settingsOf(), host(TWO_CARDS), 4711, undefined).changes);
  assert.equal(made.at(-1), "ip rule add fwmark 0x6f6e0385 table 901 priority 7");
});

Deno.test("capture: uses another table and another priority", () => {
  const made = commands(
    plan(host(TWO_CARDS), { table: "20", priority: "100", capture: "18.0.0.0/8" }).changes,
  );
  assert.deepEqual(made.slice(2, 13), [
    "ip rule add from 10.0.2.15 table 20 priority 100",
    "ip route add table 20 18.0.0.0/8 dev tun1",
    "ip route add 18.0.0.0/8 dev lo table 20 metric 4096",
    "ip rule add from 0.0.0.0/32 table 2000 priority 100",
    "ip route add table 2000 18.0.0.0/8 dev tun1 src 10.0.2.15",
    "ip route add 18.0.0.0/8 dev lo src 10.0.2.15 table 2000 metric 4096",
    "ip rule add fwmark 0x6f6e8014 table main priority 99",
    "ip route add 192.168.201.0/24 dev eth1 table 2001",
    "ip route add default via 192.168.201.1 dev eth1 table 2001",
    "ip route add prohibit 0.0.0.0/0 table 2001 metric 4096",
    "ip rule add fwmark 0x6f6e07d1 table 2001 priority 99",
  ]);
});

Deno.test("capture: a table for unbound sockets that somebody else uses is refused", () => {
  refuses(
    host({ ...TWO_CARDS, routes: [...TWO_CARDS.routes, "default via 10.0.2.2 dev eth0 table 900"] }),
    {},
    "table 900 is in use: it leads 0.0.0.0/0 to eth0",
    "choose another with --table",
  );
});

Deno.test("capture: answers come from ports that the kernel gives to no client", () => {
  const marking = (range: string) =>
    commands(plan(host({ ...TWO_CARDS, sysctls: { "net.ipv4.ip_local_port_range": range } })).changes)
      .find((each) => each.startsWith("nft"))!.match(/th sport 0-(\d+)/)?.[1];
  assert.equal(marking("32768\t60999"), "32767");
  assert.equal(marking("10000 65000"), "9999");
  assert.equal(marking("1024 65535"), "1023");
});

Deno.test("capture: where a block holds own addresses, packets to them may go by lo", () => {
  for (const [capture, outside] of [["0.0.0.0/0", '{ "tun1", "lo" }'], ["18.0.0.0/8", '"tun1"']] as const) {
    const firewall = commands(plan(host(TWO_CARDS), { capture }).changes).at(-1)!;
    assert.equal(firewall.split(`oifname != ${outside} meta mark`).length, 3, firewall);
  }
});
