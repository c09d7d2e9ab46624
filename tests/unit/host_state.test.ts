/**
 * Output of `ip -d -N -json`, recorded from iproute2 6.1 in a network namespace.
 */
import { parseNetwork } from "../../src/host/state.ts";
import { formatCidr, parseCidr } from "../../src/ip/cidr.ts";
import assert from "node:assert/strict";

const link = (name: string, flags: string[], more: object) => ({
  ifindex: 3,
  ifname: name,
  flags,
  mtu: 1500,
  qdisc: "noqueue",
  operstate: "UP",
  group: "0",
  txqlen: 1000,
  ...more,
});

const address = (local: string, prefixlen: number, more: object = {}) => ({
  family: "inet",
  local,
  prefixlen,
  scope: "0",
  label: "eth0",
  valid_life_time: 4294967295,
  preferred_life_time: 4294967295,
  ...more,
});

/** Interfaces, with their addresses as text. */
const interfaces = (...links: object[]) =>
  parseNetwork(JSON.stringify(links)).interfaces.map(({ addresses, ...rest }) => ({
    ...rest,
    addresses: addresses.map(formatCidr),
  }));

Deno.test("host state: a card, one without its cable, and one that is down", () => {
  const up = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"];
  const [card, pulled, down] = interfaces(
    link("eth0", up, { addr_info: [address("10.0.2.15", 24)] }),
    link("eth1", ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"], { addr_info: [] }),
    link("eth2", ["BROADCAST", "MULTICAST"], { mtu: 9000, linkinfo: { info_kind: "veth" }, addr_info: [] }),
  );
  assert.deepEqual(card, {
    name: "eth0",
    isUp: true,
    hasCarrier: true,
    isPointToPoint: false,
    mtu: 1500,
    addresses: ["10.0.2.15/24"],
  });
  assert.deepEqual([pulled?.isUp, pulled?.hasCarrier], [true, false]);
  assert.deepEqual([down?.isUp, down?.hasCarrier, down?.kind, down?.mtu], [false, false, "veth", 9000]);
});

Deno.test("host state: a TUN interface and a TAP interface", () => {
  const info = (type: string) => ({
    linkinfo: {
      info_kind: "tun",
      info_data: { type, pi: false, vnet_hdr: false, multi_queue: false, persist: true },
    },
    addr_info: [],
  });
  const [tun, attached, tap] = interfaces(
    link("tun1", ["NO-CARRIER", "POINTOPOINT", "MULTICAST", "NOARP", "UP"], info("tun")),
    link("tun2", ["POINTOPOINT", "MULTICAST", "NOARP", "UP", "LOWER_UP"], info("tun")),
    link("tap0", ["BROADCAST", "MULTICAST"], info("tap")),
  );
  assert.deepEqual([tun?.kind, tun?.isPointToPoint, tun?.hasCarrier], ["tun", true, false]);
  assert.equal(attached?.hasCarrier, true);
  assert.deepEqual([tap?.kind, tap?.isPointToPoint], ["tap", false]);
});

Deno.test("host state: lists IPv4 addresses only, the best source first", () => {
  const [card] = interfaces(link("eth0", ["UP"], {
    addr_info: [
      address("10.0.3.16", 24, { deprecated: true }),
      address("169.254.7.7", 16, { scope: "253" }),
      address("10.0.2.15", 24),
      address("10.0.2.16", 24, { secondary: true }),
      { family: "inet6", local: "fe80::e9:fdff:fe42:1e17", prefixlen: 64, scope: "253" },
    ],
  }));
  assert.deepEqual(card?.addresses, ["10.0.2.15/24", "10.0.2.16/24", "169.254.7.7/16", "10.0.3.16/24"]);
});

Deno.test("host state: rules", () => {
  const { rules, routes } = parseNetwork(JSON.stringify([
    { priority: 0, src: "all", table: "255" },
    { priority: 7, src: "all", fwmark: "0x6f6e0001", table: "254" },
    { priority: 7, src: "all", fwmark: "0x6f6e0001", fwmask: "0xff", table: "254" },
    { priority: 8, src: "10.0.2.15", table: "9", protocol: "4" },
    { priority: 8, src: "10.0.9.0", srclen: 24, table: "9" },
    { priority: 9, not: null, src: "1.2.3.4", table: "9" },
    { priority: 10, src: "10.0.2.15", iif: "lo", table: "9" },
    { priority: 11, src: "10.0.2.15", dst: "18.0.0.0", dstlen: 8, table: "9" },
    { priority: 12, src: "10.0.2.15", action: "7" },
    { priority: 12, src: "all", iif: "eth1", table: "9" },
    { priority: 13, src: "10.0.2.15", goto: 32766 },
  ]));
  assert.deepEqual(rules, [
    { priority: 0, src: "all", table: 255, others: [] },
    { priority: 7, src: "all", fwmark: "0x6f6e0001", table: 254, others: [] },
    { priority: 7, src: "all", fwmark: "0x6f6e0001", table: 254, others: ["fwmask"] },
    { priority: 8, src: "10.0.2.15", table: 9, others: [] },
    { priority: 8, src: "10.0.9.0/24", table: 9, others: [] },
    { priority: 9, src: "1.2.3.4", table: 9, others: ["not"] },
    { priority: 10, src: "10.0.2.15", table: 9, others: ["iif lo"] },
    { priority: 11, src: "10.0.2.15", to: parseCidr("18.0.0.0/8"), table: 9, others: ["dst", "dstlen"] },
    { priority: 12, src: "10.0.2.15", others: ["action"] },
    { priority: 12, src: "all", table: 9, others: ["iif"] },
    { priority: 13, src: "10.0.2.15", others: ["goto"] },
  ]);
  assert.deepEqual(routes, [], "a rule with a destination is no route");
});

Deno.test("host state: routes", () => {
  const { routes } = parseNetwork(JSON.stringify([
    { dst: "default", gateway: "10.0.2.2", dev: "eth0", metric: 100, flags: [] },
    { dst: "10.0.2.0/24", dev: "eth0", protocol: "2", scope: "253", prefsrc: "10.0.2.15", flags: [] },
    { dst: "default", gateway: "8.8.8.8", dev: "eth0", table: "904", flags: ["onlink"] },
    { dst: "default", dev: "ppp0", table: "906", scope: "253", flags: ["linkdown"] },
    { dst: "5.5.5.5", via: { family: "inet6", host: "fe80::1" }, dev: "eth0", table: "9", flags: [] },
    { type: "7", dst: "18.1.0.0/16", table: "9", flags: [] },
    { type: "8", dst: "18.0.0.0/8", table: "9", metric: 4096, flags: [] },
  ]));
  assert.deepEqual(routes.map(({ to, ...rest }) => ({ to: formatCidr(to), ...rest })), [
    {
      to: "0.0.0.0/0",
      table: 254,
      device: "eth0",
      via: ["via", "10.0.2.2"],
      gateway: 0x0a000202,
      metric: 100,
    },
    { to: "10.0.2.0/24", table: 254, device: "eth0", via: [], source: 0x0a00020f, metric: 0 },
    {
      to: "0.0.0.0/0",
      table: 904,
      device: "eth0",
      via: ["via", "8.8.8.8", "onlink"],
      gateway: 0x08080808,
      metric: 0,
    },
    { to: "0.0.0.0/0", table: 906, device: "ppp0", via: [], metric: 0 },
    { to: "5.5.5.5/32", table: 9, device: "eth0", via: ["via", "inet6", "fe80::1"], metric: 0 },
    { to: "18.1.0.0/16", table: 9, via: [], metric: 0 },
    { to: "18.0.0.0/8", table: 9, prohibits: true, via: [], metric: 4096 },
  ]);
});

Deno.test("host state: a multipath route is one route for each next hop", () => {
  const { routes } = parseNetwork(JSON.stringify([{
    dst: "default",
    table: "902",
    flags: [],
    nexthops: [
      { gateway: "10.0.2.2", dev: "eth0", weight: 1, flags: [] },
      { dev: "ppp0", weight: 2, flags: [] },
    ],
  }]));
  assert.deepEqual(routes.map(({ device, via, table }) => [device, via.join(" "), table]), [
    ["eth0", "via 10.0.2.2", 902],
    ["ppp0", "", 902],
  ]);
});

Deno.test("host state: reads an empty list in each way `ip` prints it", () => {
  for (const json of ["", "\n", "[]", "[{},{}]", "[ ]\n"]) {
    assert.deepEqual(parseNetwork(json), { interfaces: [], rules: [], routes: [] }, json);
  }
});

Deno.test("host state: reads addresses, rules and routes, a line each", () => {
  const lists = [
    [link("lo", ["LOOPBACK", "UP"], { addr_info: [address("127.0.0.1", 8, { scope: "254" })] })],
    [{ priority: 0, src: "all", table: "255", protocol: "2" }],
    [{ type: "1", dst: "default", gateway: "10.0.2.2", dev: "eth0", table: "254", flags: [] }],
  ];
  const { interfaces, rules, routes } = parseNetwork(
    lists.map((list) => `${JSON.stringify(list)}\n`).join(""),
  );
  assert.deepEqual(
    [interfaces.map(({ name }) => name), rules.map(({ table }) => table), routes.map(({ table }) => table)],
    [["lo"], [255], [254]],
  );
});
