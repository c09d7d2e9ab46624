import { ConfigError, ExitCode, OperatorError } from "../../src/errors.ts";
import { resolveFrom } from "../../src/host/plan/capture.ts";
import { resolveExits } from "../../src/host/plan/exit_interfaces.ts";
import type { HostState } from "../../src/host/plan/state.ts";
import { formatIp, parseIp } from "../../src/ip/address.ts";
import { formatCidr } from "../../src/ip/cidr.ts";
import { card, commands, host, rule, settingsOf, tunByHand } from "../support/host_state.ts";
import assert from "node:assert/strict";

const ETH0 = card("eth0", ["10.0.2.15/24"]);
const BY_ETH0 = "default via 10.0.2.2 dev eth0";
/** The route that stands in for the gateway while the interface is down. */
const REFUSAL = "ip route add prohibit 0.0.0.0/0 table 901 metric 4096";
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
  // The host lacks a gateway; everything else is the operator's choice.
  const code = / no gateway |neither/.test(message) ? ExitCode.hostLacks : ExitCode.failed;
  assert.throws(() => exits(state, options), new OperatorError(message, remedy, code));
}

Deno.test("exit interfaces: one without an address gets that of the course, and needs a named gateway", () => {
  const bare = host({ interfaces: [ETH0, card("eth1", [], { isUp: false })], routes: [BY_ETH0] });
  assert.deepEqual(exits(bare, { exit: "eth1@192.168.201.1" }), {
    exits: ["1 eth1 192.168.201.2 via 192.168.201.1"],
    made: [
      "ip address add 192.168.201.2/24 dev eth1",
      "ip link set eth1 up",
      "ip route add 192.168.201.0/24 dev eth1 table 901",
      "ip route add default via 192.168.201.1 dev eth1 table 901",
      "ip route add prohibit 0.0.0.0/0 table 901 metric 4096",
      "ip rule add fwmark 0x6f6e0385 table 901 priority 7",
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
});

/** The cards of the course's VM: `ifconfig eth1 192.168.201.2/24 up` gives no gateway. */
const COURSE = {
  interfaces: [ETH0, card("eth1", ["192.168.201.2/24"]), card("eth2", ["192.168.202.2/24"])],
  routes: [BY_ETH0, "10.0.2.0/24 dev eth0", "192.168.201.0/24 dev eth1", "192.168.202.0/24 dev eth2"],
};

Deno.test("exit interfaces: without a gateway, packets follow the main table with the exit's address", () => {
  assert.deepEqual(exits(host(COURSE), {}, 2), {
    exits: ["1 eth1 192.168.201.2 undefined", "2 eth2 192.168.202.2 undefined"],
    made: [
      "ip rule add fwmark 0x6f6e0385 table main priority 7",
      "ip rule add fwmark 0x6f6e0386 table main priority 7",
    ],
  });
  const strict = Object.fromEntries(["eth0", "eth1"].map((name) => [`net.ipv4.conf.${name}.rp_filter`, "1"]));
  assert.deepEqual(
    exits(host({ ...COURSE, sysctls: strict })).made.at(-1),
    "sysctl -w net.ipv4.conf.eth0.rp_filter=2",
    "the answers come in by eth0",
  );
  for (const routes of [[], ["192.168.201.0/24 dev eth1"]]) {
    refuses(
      host({ ...COURSE, routes }),
      {},
      "exit eth1 has no gateway in the routing tables",
      "name it: --exit eth1@GATEWAY",
    );
  }
});

Deno.test("exit interfaces: the source is that of the route, else the interface's, else the host's first", () => {
  const lo = card("dummy0", ["10.255.0.9/32"]);
  const eth0 = card("eth0", []);
  const by = (route: string, interfaces = [lo, eth0]) =>
    exits(host({ interfaces, routes: ["10.0.2.2 dev eth0", route] }));
  for (const route of [`${BY_ETH0} src 10.255.0.9`, BY_ETH0]) {
    assert.deepEqual(by(route), {
      exits: ["1 eth0 10.255.0.9 via 10.0.2.2"],
      made: [
        "ip route add 10.0.2.2 dev eth0 table 901",
        "ip route add default via 10.0.2.2 dev eth0 table 901",
        "ip route add prohibit 0.0.0.0/0 table 901 metric 4096",
        "ip rule add fwmark 0x6f6e0385 table 901 priority 7",
      ],
    });
  }
  const filtered = (all: string) => {
    const sysctls = { "net.ipv4.conf.eth0.rp_filter": "2", "net.ipv4.conf.all.rp_filter": all };
    return exits(host({ interfaces: [lo, eth0], routes: ["10.0.2.2 dev eth0", BY_ETH0], sysctls })).made.at(
      -1,
    );
  };
  assert.equal(filtered("0"), "sysctl -w net.ipv4.conf.eth0.rp_filter=0", "a loose one drops, too");
  assert.throws(
    () => filtered("2"),
    /eth0 has no address, so net\.ipv4\.conf\.all\.rp_filter drops the answers/,
  );
  const several = card("eth0", ["10.0.2.15/24", "10.0.2.16/24"]);
  assert.deepEqual(by(`${BY_ETH0} src 10.0.2.16`, [several]).exits, ["1 eth0 10.0.2.16 via 10.0.2.2"]);
});

Deno.test("exit interfaces: a gateway may have an IPv6 address (RFC 5549)", () => {
  const route = { ...host({ routes: [BY_ETH0] }).routes[0]!, device: "eth1", metric: 7 };
  const { gateway: _, ...inet6 } = { ...route, via: ["via", "inet6", "fe80::1"] };
  const state = host({ interfaces: [ETH0, card("eth1", ["192.168.201.2/24"])], routes: [BY_ETH0] });
  assert.equal(
    exits({ ...state, routes: [...state.routes, inet6] }).made[0],
    "ip route add 0.0.0.0/0 via inet6 fe80::1 dev eth1 table 901",
    "ip route add prohibit 0.0.0.0/0 table 901 metric 4096",
  );
});

Deno.test("exit interfaces: an interface may be named by another of its names", () => {
  const eth1 = card("eth1", ["192.168.201.2/24"], { otherNames: ["enp0s8"] });
  const state = host({
    interfaces: [ETH0, eth1],
    routes: [BY_ETH0, "default via 192.168.201.1 dev eth1 metric 9"],
  });
  assert.deepEqual(exits(state, { exit: "enp0s8" }).exits, ["1 eth1 192.168.201.2 via 192.168.201.1"]);
});

Deno.test("exit interfaces: the gateway in the exit's own table comes last", () => {
  const state = (...routes: string[]) =>
    host({ interfaces: [ETH0, card("eth1", ["192.168.201.2/24"])], routes: [BY_ETH0, ...routes] });
  const own = "default via 192.168.201.1 dev eth1 table 901";
  assert.deepEqual(exits(state(own)).exits, ["1 eth1 192.168.201.2 via 192.168.201.1"]);
  const other = "default via 192.168.201.1 dev eth1 table 1077 metric 9";
  assert.deepEqual(exits(state(own, other)).exits, ["1 eth1 192.168.201.2 via 192.168.201.1"]);
});

Deno.test("exit interfaces: a point-to-point link needs no gateway", () => {
  const ppp = card("ppp0", ["10.64.0.9/32"], { isPointToPoint: true });
  const expected = [
    "ip route add default dev ppp0 table 901",
    "ip route add prohibit 0.0.0.0/0 table 901 metric 4096",
    "ip rule add fwmark 0x6f6e0385 table 901 priority 7",
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
  assert.deepEqual(exits(state).made, [
    "ip route add default dev ppp0 table 901",
    "ip route add prohibit 0.0.0.0/0 table 901 metric 4096",
    "ip rule add fwmark 0x6f6e0385 table 901 priority 7",
  ]);
});

Deno.test("exit interfaces: an exit with the captured address has its own table too", () => {
  const state = host({
    interfaces: [ETH0, card("eth1", ["10.9.0.2/24"])],
    routes: ["default via 10.9.0.1 dev eth1"],
  });
  assert.deepEqual(exits(state, { exit: "eth0@10.0.2.2" }).made, [
    "ip route add default via 10.0.2.2 dev eth0 table 901",
    "ip route add prohibit 0.0.0.0/0 table 901 metric 4096",
    "ip rule add fwmark 0x6f6e0385 table 901 priority 7",
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
    [REFUSAL, "ip rule add fwmark 0x6f6e0385 table 901 priority 7"],
  );
  assert.deepEqual(
    exits(host({ interfaces, routes, rules: [rule("6: from all fwmark 0x6f6e0385 table 901")] })).made,
    ["ip route add default via 192.168.201.1 dev eth1 table 901", REFUSAL],
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
    [1, 2, 3, 4].flatMap((i) => [
      `ip route add default via 10.0.2.2 dev eth0 table 90${i}`,
      `ip route add prohibit 0.0.0.0/0 table 90${i} metric 4096`,
      `ip rule add fwmark 0x6f6e0${(900 + i).toString(16)} table 90${i} priority 7`,
    ]),
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
    code: ExitCode = ExitCode.hostLacks,
  ) => assert.throws(() => resolveFrom(settingsOf(options), state), new OperatorError(message, remedy, code));
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
    ExitCode.failed,
  );
});
