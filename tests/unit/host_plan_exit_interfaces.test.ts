import { ConfigError, OperatorError } from "../../src/errors.ts";
import { resolveFrom } from "../../src/host/plan/capture.ts";
import { resolveExits } from "../../src/host/plan/exit_interfaces.ts";
import type { HostState } from "../../src/host/plan/state.ts";
import { formatIp, parseIp } from "../../src/ip/address.ts";
import { formatCidr } from "../../src/ip/cidr.ts";
import { card, commands, host, rule, settingsOf, tunByHand } from "../support/host_state.ts";
import assert from "node:assert/strict";

const ETH0 = card("eth0", ["10.0.2.15/24"]);
const BY_ETH0 = "default via 10.0.2.2 dev eth0";
const FROM = parseIp("10.0.2.15")!;

/** Exits as `router device address via`, and the commands that they need. */
function exits(state: HostState, options: Parameters<typeof settingsOf>[0] = {}, routers = 1) {
  const settings = { ...settingsOf(options), routers };
  const resolved = resolveExits(settings, FROM, state);
  return {
    exits: resolved.map(({ router, device, address, via }) =>
      `${router} ${device} ${formatIp(address)} ${via}`
    ),
    made: commands(resolved.flatMap(({ changes }) => changes).filter(({ isThere }) => !isThere)),
  };
}

function refuses(
  state: HostState,
  options: Parameters<typeof settingsOf>[0],
  message: string,
  remedy: string,
) {
  assert.throws(() => exits(state, options), new OperatorError(message, remedy));
}

Deno.test("exit interfaces: one without an address gets that of the course, and needs a named gateway", () => {
  const bare = host({ interfaces: [ETH0, card("eth1", [], { isUp: false })], routes: [BY_ETH0] });
  assert.deepEqual(exits(bare, { exit: "eth1@192.168.201.1" }), {
    exits: ["1 eth1 192.168.201.2 via 192.168.201.1"],
    made: [
      "ip address add 192.168.201.2/24 dev eth1",
      "ip link set eth1 up",
      "ip route add default via 192.168.201.1 dev eth1 table 901",
      "ip rule add from 192.168.201.2 table 901 priority 7",
    ],
  });
  refuses(bare, {}, "exit eth1 has no gateway in the routing tables", "name it: --exit eth1@GATEWAY");
});

Deno.test("exit interfaces: the address of the course is not taken from another interface", () => {
  refuses(
    host({ interfaces: [ETH0, card("br0", ["192.168.201.9/24"]), card("eth1", [])], routes: [BY_ETH0] }),
    { exit: "eth1@192.168.201.1" },
    "192.168.201.2/24 is taken: br0 has 192.168.201.9/24",
    "give eth1 an address of its own",
  );
});

Deno.test("exit interfaces: the gateway is that of the main table by metric, else of another table, else given", () => {
  const eth1 = card("eth1", ["192.168.201.2/24"]);
  const by = (...routes: string[]) => host({ interfaces: [ETH0, eth1], routes: [BY_ETH0, ...routes] });
  const via = (state: HostState, options = {}) => exits(state, options).exits[0]?.split("via ")[1];
  const second = "default via 192.168.201.2 dev eth1 metric 200";
  const first = "default via 192.168.201.1 dev eth1 metric 100";
  assert.equal(via(by(second, first)), "192.168.201.1");
  const elsewhere = "default via 192.168.201.3 dev eth1 table 300";
  assert.equal(via(by(elsewhere, second)), "192.168.201.2", "the main table first");
  assert.equal(via(by(elsewhere)), "192.168.201.3");
  assert.equal(via(by(first), { exit: "eth1@192.168.201.77" }), "192.168.201.77");
  assert.equal(via(by(`${first} onlink`)), "192.168.201.1 onlink", "as it is");
  refuses(by(), {}, "exit eth1 has no gateway in the routing tables", "name it: --exit eth1@GATEWAY");
});

Deno.test("exit interfaces: a point-to-point link needs no gateway", () => {
  const ppp = card("ppp0", ["10.64.0.9/32"], { isPointToPoint: true });
  const expected = [
    "ip route add default dev ppp0 table 901",
    "ip rule add from 10.64.0.9 table 901 priority 7",
  ];
  for (const routes of [[BY_ETH0, "default dev ppp0 metric 50"], [BY_ETH0]]) {
    const { exits: found, made } = exits(host({ interfaces: [ETH0, ppp], routes }), { exit: "ppp0" });
    assert.deepEqual([found, made], [["1 ppp0 10.64.0.9 "], expected]);
  }
});

Deno.test("exit interfaces: the only card of a host may be a point-to-point link", () => {
  const ppp = card("ppp0", ["10.0.2.15/32"], { isPointToPoint: true });
  const state = host({ interfaces: [ppp], routes: ["default dev ppp0"] });
  assert.equal(resolveFrom(settingsOf(), state), FROM);
  assert.deepEqual(exits(state).made, ["ip rule add fwmark 0x6f6e0001 table main priority 7"]);
});

Deno.test("exit interfaces: a shared exit gets its own table if the main table lacks its gateway", () => {
  const state = host({
    interfaces: [ETH0, card("eth1", ["10.9.0.2/24"])],
    routes: ["default via 10.9.0.1 dev eth1"],
  });
  assert.deepEqual(exits(state, { exit: "eth0@10.0.2.2" }).made, [
    "ip route add default via 10.0.2.2 dev eth0 table 901",
    "ip rule add fwmark 0x6f6e0001 table 901 priority 7",
  ]);
});

Deno.test("exit interfaces: of several addresses, uses the one in the gateway's block", () => {
  const eth1 = card("eth1", ["172.16.0.2/16", "192.168.201.2/24"]);
  const state = host({
    interfaces: [ETH0, eth1],
    routes: [BY_ETH0, "default via 192.168.201.1 dev eth1 metric 9"],
  });
  assert.deepEqual(exits(state).exits, ["1 eth1 192.168.201.2 via 192.168.201.1"]);
  assert.deepEqual(
    exits(state, { exit: "eth1@10.9.9.9" }).exits,
    ["1 eth1 172.16.0.2 via 10.9.9.9"],
    "else the first",
  );
});

Deno.test("exit interfaces: uses an exit's table made by hand, and refuses one with other routes", () => {
  const interfaces = [ETH0, card("eth1", ["192.168.201.2/24"])];
  const routes = [BY_ETH0, "default via 192.168.201.1 dev eth1 metric 100"];
  const withRoutes = (...more: string[]) => host({ interfaces, routes: [...routes, ...more] });
  assert.deepEqual(
    exits(withRoutes("default via 192.168.201.1 dev eth1 table 901", "192.168.201.0/24 dev eth1 table 901"))
      .made,
    ["ip rule add from 192.168.201.2 table 901 priority 7"],
  );
  assert.deepEqual(
    exits(host({ interfaces, routes, rules: [rule("100: from 192.168.201.2 table 901")] })).made,
    ["ip route add default via 192.168.201.1 dev eth1 table 901"],
  );
  const another = "choose another with --table";
  refuses(
    withRoutes("default via 192.168.201.9 dev eth1 table 901"),
    {},
    "table 901 is in use: it leads 0.0.0.0/0 to eth1",
    another,
  );
  refuses(
    withRoutes("default via 192.168.201.1 dev eth1 table 901", "default dev wg0 table 901"),
    {},
    "table 901 is in use: it leads 0.0.0.0/0 to wg0",
    another,
  );
  refuses(
    withRoutes("10.0.0.0/8 dev wg0 table 901"),
    {},
    "table 901 is in use: it leads 10.0.0.0/8 to wg0",
    another,
  );
});

Deno.test("exit interfaces: router i leaves by eth i if all exist, else every router by the default route's", () => {
  const cards = [1, 2, 3].map((i) => card(`eth${i}`, [`192.168.20${i}.2/24`]));
  const routes = [BY_ETH0, ...[1, 2, 3].map((i) => `default via 192.168.20${i}.1 dev eth${i} metric ${i}`)];
  const state = host({ interfaces: [ETH0, ...cards], routes });
  assert.deepEqual(exits(state, {}, 3).exits, [
    "1 eth1 192.168.201.2 via 192.168.201.1",
    "2 eth2 192.168.202.2 via 192.168.202.1",
    "3 eth3 192.168.203.2 via 192.168.203.1",
  ]);
  const four = exits(state, {}, 4);
  assert.deepEqual(four.exits, [1, 2, 3, 4].map((i) => `${i} eth0 10.0.2.15 via 10.0.2.2`));
  assert.deepEqual(
    four.made,
    [1, 2, 3, 4].map((i) => `ip rule add fwmark 0x6f6e000${i} table main priority 7`),
  );
  assert.deepEqual(exits(state, { exit: "eth3,eth1" }, 2).exits, [
    "1 eth3 192.168.203.2 via 192.168.203.1",
    "2 eth1 192.168.201.2 via 192.168.201.1",
  ], "as they are named");
  assert.equal(exits(state, { exit: "eth1,eth1" }, 2).exits.length, 2);
});

Deno.test("exit interfaces: refuses more or fewer exits than routers", () => {
  const cards = [1, 2, 3].map((i) => card(`eth${i}`, [`192.168.20${i}.2/24`]));
  const routes = [BY_ETH0, ...[1, 2, 3].map((i) => `default via 192.168.20${i}.1 dev eth${i} metric ${i}`)];
  const state = host({ interfaces: [ETH0, ...cards], routes });
  const each = "name one for each; the same one may be named again";
  const cases: [exit: string, routers: number, message: string, remedy: string][] = [
    ["eth1", 2, "--exit names 1 interface for 2 routers to leave by", each],
    ["eth1,eth2,eth3", 2, "--exit names 3 interfaces for 2 routers to leave by", each],
    ["eth1,eth2", 1, "--exit names 2 interfaces for 1 router to leave by", "name one"],
  ];
  for (const [exit, routers, message, remedy] of cases) {
    assert.throws(() => exits(state, { exit }, routers), new ConfigError(message, remedy));
  }
});

Deno.test("exit interfaces: refuses the tunnel, a missing interface, and one without a gateway", () => {
  const state = host({ interfaces: [ETH0, tunByHand("tun1", ["10.5.51.2/24"])], routes: [BY_ETH0] });
  refuses(state, { exit: "eth7" }, "there is no exit interface eth7", "name another with --exit");
  refuses(state, { exit: "tun1" }, "exit tun1 is the tunnel itself", "name another with --exit");
  refuses(
    state,
    { exit: "lo" },
    "exit lo has no gateway in the routing tables",
    "name it: --exit lo@GATEWAY",
  );
  refuses(host({}), {}, "there is neither eth1 nor a default route to leave by", "name an exit with --exit");
});

Deno.test("capture: takes the address of --from, else that of the default route's interface", () => {
  const from = (state: HostState, options = {}) => formatIp(resolveFrom(settingsOf(options), state));
  const eth1 = card("eth1", ["192.168.201.2/24"]);
  const two = (...routes: string[]) => host({ interfaces: [ETH0, eth1], routes });
  assert.equal(from(two(BY_ETH0)), "10.0.2.15");
  assert.equal(
    from(two(`${BY_ETH0} metric 200`, "default via 192.168.201.1 dev eth1 metric 100")),
    "192.168.201.2",
  );
  assert.equal(from(two(BY_ETH0), { from: "192.168.201.2" }), "192.168.201.2");
  const several = card("eth0", ["172.16.0.9/16", "10.0.2.15/24"]);
  assert.equal(from(host({ interfaces: [several], routes: [BY_ETH0] })), "10.0.2.15", "the gateway's block");
  assert.equal(from(host({ interfaces: [several], routes: [`${BY_ETH0} src 172.16.0.9`] })), "172.16.0.9");
  assert.equal(formatCidr(several.addresses[0]!), "172.16.0.9/16");
});

Deno.test("capture: refuses to guess whose packets to capture", () => {
  const refusesFrom = (
    state: HostState,
    options: Parameters<typeof settingsOf>[0],
    message: string,
    remedy: string,
  ) => assert.throws(() => resolveFrom(settingsOf(options), state), new OperatorError(message, remedy));
  const name = "name the address with --from";
  refusesFrom(
    host({ interfaces: [ETH0], routes: ["default dev wg0 table 51820", "default"] }),
    {},
    "this host has no default route, so it is unclear whose packets to capture",
    name,
  );
  refusesFrom(
    host({ interfaces: [card("eth0", [])], routes: [BY_ETH0] }),
    {},
    "eth0, the default route's interface, has no address, so it is unclear whose packets to capture",
    name,
  );
  refusesFrom(
    host({ interfaces: [ETH0], routes: [BY_ETH0] }),
    { from: "10.0.2.16" },
    "--from 10.0.2.16 is no address of this host",
    "choose one that `ip address` lists",
  );
});
