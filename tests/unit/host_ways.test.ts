import assert from "node:assert/strict";
import { ExitCode, OperatorError } from "../../src/errors.ts";
import { type HostState } from "../../src/host/plan/state.ts";
import { type Obstacle, obstaclesBy, type Way, Ways } from "../../src/host/ways.ts";
import { formatIp, type IpAddress } from "../../src/ip/address.ts";
import { parseCidr } from "../../src/ip/cidr.ts";
import type { RouteAnswer, RouteQuestion } from "../../src/sys/route_query.ts";
import { commands, host, plan, rule, TWO_CARDS } from "../support/host_state.ts";

/** A question in words, e.g. `18.0.0.1 from 10.0.2.15 mark 1`. */
function words({ to, from, mark }: RouteQuestion): string {
  return [
    formatIp(to),
    ...(from === undefined ? [] : [`from ${formatIp(from)}`]),
    ...(mark === undefined ? [] : [`mark ${mark.toString(16)}`]),
  ].join(" ");
}

/** An answer by a table. */
function by(device: string, table: number | undefined, source?: IpAddress): RouteAnswer {
  return { kind: "leaves", device, table, source };
}

/** The right answer to every question, and the questions. */
function rightly(ways: readonly Way[]): { asked: string[]; ask: (question: RouteQuestion) => RouteAnswer } {
  const asked: string[] = [];
  const ask = (question: RouteQuestion) => {
    asked.push(words(question));
    const { from, mark } = question;
    const way = ways.find(({ of }) => of.from === from && of.mark === mark)!;
    return by(way.device, way.table);
  };
  return { asked, ask };
}

/** What is in the way if all questions of a way are answered like this. */
function inTheWay(
  state: HostState,
  answer: RouteAnswer,
  options: Parameters<typeof plan>[1] = {},
  which = 0,
): string[] {
  const { ways } = plan(state, options);
  return obstaclesBy(() => answer, [ways[which]!], state).map(told);
}

const told = ({ message, remedy }: Obstacle) => `${message}; ${remedy}`;

Deno.test("ways: asks for captured packets and for each router's, to the start of each block", () => {
  const { ways } = plan(host(TWO_CARDS));
  const { asked, ask } = rightly(ways);
  assert.deepEqual(obstaclesBy(ask, ways, host(TWO_CARDS)), []);
  assert.deepEqual(asked, [
    "18.0.0.1 from 10.0.2.15",
    "128.0.0.1 from 10.0.2.15",
    "18.0.0.1",
    "128.0.0.1",
    "18.0.0.1 from 192.168.201.2 mark 6f6e0385",
    "128.0.0.1 from 192.168.201.2 mark 6f6e0385",
  ]);
});

Deno.test("ways: a router without a gateway may leave by any interface but the tunnel", () => {
  const state = host({
    ...TWO_CARDS,
    routes: ["default via 10.0.2.2 dev eth0", "192.168.201.0/24 dev eth1"],
  });
  assert.deepEqual(inTheWay(state, by("eth0", 254), {}, 2), []);
  assert.deepEqual(inTheWay(state, by("tun1", 9), {}, 2), [
    "router 1's packets from 192.168.201.2 to 18.0.0.1 would leave by tun1, the tunnel itself; " +
    "see `ip rule` and `ip route`",
  ]);
});

Deno.test("ways: stage 2 asks for a host of the tunnel's block", () => {
  const { ways } = plan(host(TWO_CARDS), { stage: "2" });
  const { asked, ask } = rightly(ways);
  assert.deepEqual(obstaclesBy(ask, ways, host(TWO_CARDS)), []);
  assert.deepEqual(asked, ["10.5.51.1"]);
});

Deno.test("ways: asks for parts of a block that others know, but not for this host's own", () => {
  const state = host({
    ...TWO_CARDS,
    rules: [{ ...rule("5: from all table 77", "dst", "dstlen"), to: parseCidr("18.9.0.0/16")! }],
    routes: [...TWO_CARDS.routes, "128.30.2.0/24 dev eth1 table 78", "128.30.2.7 dev lo table 255"],
  });
  const { ways } = plan(state);
  const { asked, ask } = rightly(ways);
  obstaclesBy(ask, ways.slice(0, 1), state);
  assert.deepEqual(asked.map((each) => each.split(" ")[0]), [
    "18.0.0.1",
    "128.0.0.1",
    "18.9.0.1",
    "128.30.2.1",
  ]);
});

Deno.test("ways: names the rule that comes first, and how to remove it", () => {
  const before = host({ ...TWO_CARDS, rules: [rule("5: from all table 254")] });
  assert.deepEqual(inTheWay(before, by("eth0", 254), { priority: "9" }), [
    "packets from 10.0.2.15 to 18.0.0.1 would leave by eth0 and not by tun1, " +
    "because of rule 5: from all lookup main; " +
    "remove that rule: ip rule delete priority 5, or choose a --priority below 5",
  ]);
  const wireguard = host({ ...TWO_CARDS, rules: [rule("4: from all fwmark 0xca6c table 51820", "not")] });
  assert.deepEqual(inTheWay(wireguard, by("wg0", 51820), { priority: "9" }), [
    "packets from 10.0.2.15 to 18.0.0.1 would leave by wg0 and not by tun1, " +
    "because of rule 4: not from all fwmark 0xca6c lookup 51820; " +
    "remove that rule: ip rule delete priority 4, or choose a --priority below 4",
  ]);
  const refusing = host({ ...TWO_CARDS, rules: [rule("1: from all", "action")] });
  assert.deepEqual(inTheWay(refusing, { kind: "refused", error: "EACCES" }), [
    "the kernel refuses packets from 10.0.2.15 to 18.0.0.1 (EACCES), by rule 1: from all that refuses; " +
    "remove that rule: ip rule delete priority 1",
  ]);
});

Deno.test("ways: passes over rules that are for other packets", () => {
  const state = host({
    ...TWO_CARDS,
    rules: [
      rule("2: from 10.0.9.0/24 table 77"),
      rule("3: from all fwmark 0x1 table 77"),
      rule("4: from all table 77", "iif"),
      { ...rule("5: from all table 77", "dst"), to: parseCidr("18.9.0.0/16")! },
      rule("6: from 10.0.2.0/24 table 77"),
    ],
  });
  const [first] = inTheWay(state, by("eth0", 77), { priority: "9" });
  assert.match(first!, /because of rule 6: from 10\.0\.2\.0\/24 lookup 77/);
});

Deno.test("ways: a rule after ours answers only if ours is missing", () => {
  assert.deepEqual(inTheWay(host(TWO_CARDS), by("eth0", 254)), [
    "packets from 10.0.2.15 to 18.0.0.1 would leave by eth0 and not by tun1, " +
    "because of rule 32766: from all lookup main; start again",
  ]);
});

Deno.test("ways: names a foreign route in our own table", () => {
  const { ways } = plan(host(TWO_CARDS));
  const state = host({ ...TWO_CARDS, routes: [...TWO_CARDS.routes, "18.0.0.0/9 dev wg0 table 9"] });
  assert.deepEqual(obstaclesBy(() => by("wg0", 9), ways.slice(0, 1), state).map(told), [
    "packets from 10.0.2.15 to 18.0.0.1 would leave by wg0 and not by tun1, " +
    "because of the route 18.0.0.0/9 dev wg0 table 9; remove it: ip route delete 18.0.0.0/9 dev wg0 table 9",
    "packets from 10.0.2.15 to 128.0.0.1 would leave by wg0 and not by tun1; see `ip rule` and `ip route`",
  ]);
});

Deno.test("ways: a dead run's refusal is not in the way, because it goes when this run is ready", () => {
  const { ways } = plan(host(TWO_CARDS));
  const left = { ...TWO_CARDS, routes: [...TWO_CARDS.routes, "18.0.0.0/8 dev lo table 10 metric 4096"] };
  const found = (closed: string[]) =>
    obstaclesBy(() => by("lo", 10), ways.slice(0, 1), { ...host(left), closed: new Set(closed) })
      .filter(({ message }) => message.includes("18.0.0.1"));
  assert.equal(found([]).length, 1);
  assert.deepEqual(found(["refusal of 18.0.0.0/8 in table 10"]), []);
});

Deno.test("ways: captured packets that our own route refuses do not leave", () => {
  assert.deepEqual(inTheWay(host(TWO_CARDS), by("lo", 9)), [
    "no route leads packets from 10.0.2.15 to 18.0.0.1 to tun1; see `ip route show table 9` and `ip link`",
  ]);
});

Deno.test("ways: what is refused, and what stays on the host", () => {
  assert.deepEqual(inTheWay(host(TWO_CARDS), { kind: "stays" }), []);
  assert.deepEqual(inTheWay(host(TWO_CARDS), { kind: "refused", error: "ENETUNREACH" }, {}, 2), [
    "the kernel refuses router 1's packets from 192.168.201.2 to 18.0.0.1 (ENETUNREACH); " +
    "see `ip rule`, `ip address` and `ip route show table all`",
  ]);
});

Deno.test("ways: a start fails with the first obstacle, and a run tells each once", () => {
  const state = host(TWO_CARDS);
  const obstacle = (message: string, kind: Obstacle["kind"] = "elsewhere") =>
    ({ kind, message, remedy: "remove it", comesFirst: true }) as const;
  let found: Obstacle[] = [];
  const ways = new Ways([], () => found);
  ways.require(state);
  assert.deepEqual(ways.look(state), []);
  found = [obstacle("one")];
  assert.throws(() => ways.require(state), new OperatorError("one", "remove it"));
  assert.deepEqual(ways.look(state), [{ level: "warn", text: "one: remove it" }]);
  assert.deepEqual(ways.look(state), []);
  // Refused packets are told by others during a run, but they end a start.
  found = [obstacle("one"), obstacle("two"), obstacle("three", "refused")];
  assert.deepEqual(ways.look(state), [{ level: "warn", text: "two: remove it" }]);
  found = [obstacle("three", "refused")];
  assert.throws(
    () => ways.require(state),
    new OperatorError("three", "remove it", ExitCode.hostLacks),
  );
  assert.deepEqual(ways.look(state), [{ level: "info", text: "nothing is in the way of packets any more" }]);
  assert.deepEqual(ways.look(state), []);
});

Deno.test("priority: rules go in front of others that would lead captured packets elsewhere", () => {
  const priorityWith = (theirs: ReturnType<typeof rule>[], options: Parameters<typeof plan>[1] = {}) =>
    commands(plan(host({ ...TWO_CARDS, rules: theirs }), options).changes)
      .map((each) => /^ip rule add from 10\.0\.2\.15 table 9 priority (\d+)$/.exec(each)?.[1])
      .find((each) => each !== undefined);
  const table: [string, ReturnType<typeof rule>[], string][] = [
    ["no rules of others", [], "8"],
    ["a rule after ours", [rule("9: from all table 77")], "8"],
    ["a rule for everything", [rule("5: from all table 254")], "4"],
    ["the first of several", [rule("5: from all table 254"), rule("3: from 10.0.0.0/8 table 77")], "2"],
    ["a rule at the same priority, which is there first", [rule("8: from all table 77")], "7"],
    ["all but marked packets", [rule("6: from all fwmark 0xca6c table 77", "not")], "5"],
    ["this host's own packets", [rule("6: from all table 77", "iif lo")], "5"],
    ["marked packets", [rule("5: from all fwmark 0x1 table 77")], "8"],
    ["other sources", [rule("5: from 10.0.9.0/24 table 77")], "8"],
    ["forwarded packets", [rule("5: from all table 77", "iif")], "8"],
    ["the kernel's own rule, moved", [rule("5: from all table 255")], "8"],
    ["another destination", [{
      ...rule("5: from all table 77", "dst"),
      to: parseCidr("10.0.0.0/8")!,
    }], "8"],
    ["a part of a captured block", [{
      ...rule("5: from all table 77", "dst"),
      to: parseCidr("18.9.0.0/16")!,
    }], "4"],
    // There is no room, so the kernel is asked what that means.
    ["the very first", [rule("2: from all table 77")], "8"],
  ];
  for (const [name, theirs, expected] of table) assert.equal(priorityWith(theirs), expected, name);
  const chosen = priorityWith([rule("5: from all table 254")], { priority: "9" });
  assert.equal(chosen, "9", "the user's choice stays");
});
