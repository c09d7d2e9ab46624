import { planCommands, planExits } from "../../src/host/host_plan.ts";
import {
  BY_HAND,
  card,
  commands,
  host,
  ONE_CARD,
  plan,
  refuses,
  rule,
  settingsOf,
  tunByHand,
  TWO_CARDS,
  undoing,
} from "../support/host_state.ts";
import { address } from "../support/packets.ts";
import assert from "node:assert/strict";

const LOOPS =
  `chain loops { type filter hook output priority filter; oifname "tun1" meta mark { 0x6f6e0385 } drop; };`;

/** The chains that keep packets from an address in the tunnel. */
const barrier = (from: string) =>
  "chain answers { type route hook output priority mangle; " +
  ["meta l4proto icmp", "meta l4proto { tcp, udp } th sport 0-32767"].map((which) =>
    `meta mark 0 ct direction reply ip saddr ${from} ip daddr { 18.0.0.0/8, 128.0.0.0/8 } ${which} ` +
    "meta mark set 0x6f6e8009; "
  ).join("") + "}; " +
  "chain refusals { type filter hook output priority filter; " +
  `ip saddr ${from} ip daddr { 18.0.0.0/8, 128.0.0.0/8 } oifname != "tun1" ` +
  "meta mark & 0xffff0000 != 0x6f6e0000 reject with icmp type admin-prohibited; }; " +
  "chain barrier { type filter hook postrouting priority mangle; " +
  `ip saddr ${from} ip daddr { 18.0.0.0/8, 128.0.0.0/8 } oifname != "tun1" ` +
  "meta mark & 0xffff0000 != 0x6f6e0000 drop; };";

const FIREWALL = `nft 'table ip onion_4711 { ${barrier("10.0.2.15")} ${LOOPS} ` +
  "chain resets { type filter hook output priority filter; " +
  "ip saddr { 192.168.201.2 } tcp flags & rst == rst drop; }; }'";

/** The table and the rule of an exit. */
const EXIT = [
  "ip route add 192.168.201.0/24 dev eth1 table 901",
  "ip route add default via 192.168.201.1 dev eth1 table 901",
  "ip route add prohibit 0.0.0.0/0 table 901 metric 4096",
  "ip rule add fwmark 0x6f6e0385 table 901 priority 7",
];

/** The routes that refuse the default blocks while the TUN is down. */
const REFUSALS = [
  "ip route add 18.0.0.0/8 dev lo table 9 metric 4096",
  "ip route add 128.0.0.0/8 dev lo table 9 metric 4096",
];

/** What leads packets without an address into the tunnel, and answers past it. */
const unboundAs = (from: string) => [
  "ip rule add from 0.0.0.0/32 table 900 priority 8",
  `ip route add table 900 18.0.0.0/8 dev tun1 src ${from}`,
  `ip route add table 900 128.0.0.0/8 dev tun1 src ${from}`,
  `ip route add 18.0.0.0/8 dev lo src ${from} table 900 metric 4096`,
  `ip route add 128.0.0.0/8 dev lo src ${from} table 900 metric 4096`,
  "ip rule add fwmark 0x6f6e8009 table main priority 7",
];

Deno.test("host plan: stage 2 gives the TUN an address and sets it up", () => {
  const { changes, exits, mtu } = plan(host(TWO_CARDS), { stage: "2" });
  assert.deepEqual(commands(changes), [
    "ip address add 10.5.51.2/24 dev tun1",
    "ip link set tun1 up",
  ]);
  assert.ok(changes.every(({ goesWithTun }) => goesWithTun), "the kernel undoes it with the TUN");
  assert.deepEqual(exits, [{ settings: { kind: "echo", block: settingsOf({ stage: "2" }).address } }]);
  assert.equal(mtu, 1500);
});

Deno.test("host plan: two cards, in the order of the course, undone in reverse", () => {
  const { changes, exits } = plan(host(TWO_CARDS));
  assert.deepEqual(commands(changes), [
    "ip address add 10.5.51.2/24 dev tun1",
    "ip link set tun1 up",
    "ip rule add from 10.0.2.15 table 9 priority 8",
    "ip route add table 9 18.0.0.0/8 dev tun1",
    "ip route add table 9 128.0.0.0/8 dev tun1",
    ...REFUSALS,
    ...unboundAs("10.0.2.15"),
    ...EXIT,
    FIREWALL,
  ]);
  assert.deepEqual(undoing(changes), [
    "nft 'delete table ip onion_4711'",
    ...EXIT.map((each) => each.replace(" add ", " delete ").replace(" via 192.168.201.1", "")).toReversed(),
    "ip rule delete fwmark 0x6f6e8009 table main priority 7",
    "ip route delete 128.0.0.0/8 dev lo src 10.0.2.15 table 900 metric 4096",
    "ip route delete 18.0.0.0/8 dev lo src 10.0.2.15 table 900 metric 4096",
    "ip route delete table 900 128.0.0.0/8 dev tun1 src 10.0.2.15",
    "ip route delete table 900 18.0.0.0/8 dev tun1 src 10.0.2.15",
    "ip rule delete from 0.0.0.0/32 table 900 priority 8",
    "ip route delete 128.0.0.0/8 dev lo table 9 metric 4096",
    "ip route delete 18.0.0.0/8 dev lo table 9 metric 4096",
    "ip route delete table 9 128.0.0.0/8 dev tun1",
    "ip route delete table 9 18.0.0.0/8 dev tun1",
    "ip rule delete from 10.0.2.15 table 9 priority 8",
    "ip link set tun1 down",
    "ip address delete 10.5.51.2/24 dev tun1",
  ]);
  assert.deepEqual(
    exits.map(({ leaves }) => leaves).map((by) => [by?.device, by?.address, by?.via, by?.mark]),
    [["eth1", 0xc0a8c902, "via 192.168.201.1", 0x6f6e0385]],
  );
});

Deno.test("host plan: with one card, a mark above the capturing rule keeps the router's packets out of the tunnel", () => {
  const { changes, exits } = plan(host(ONE_CARD));
  assert.deepEqual(commands(changes), [
    "ip address add 10.5.51.2/24 dev tun1",
    "ip link set tun1 up",
    "ip rule add from 203.0.113.7 table 9 priority 8",
    "ip route add table 9 18.0.0.0/8 dev tun1",
    "ip route add table 9 128.0.0.0/8 dev tun1",
    ...REFUSALS,
    ...unboundAs("203.0.113.7"),
    "ip route add 203.0.113.0/24 dev ens3 table 901",
    "ip route add default via 203.0.113.1 dev ens3 table 901",
    "ip route add prohibit 0.0.0.0/0 table 901 metric 4096",
    "ip rule add fwmark 0x6f6e0385 table 901 priority 7",
    // There is no rule against resets, because it would silence the host's own.
    `nft 'table ip onion_4711 { ${barrier("203.0.113.7")} ${LOOPS} }'`,
  ]);
  assert.deepEqual(exits.map(({ leaves }) => [leaves?.address, leaves?.isCaptured]), [[0xcb007107, true]]);
});

Deno.test("host plan: loosens a strict reverse path filter where answers come in another way, and restores it", () => {
  const sysctls = {
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "1",
    "net.ipv4.conf.ens3.rp_filter": "1",
    "net.ipv4.conf.eth1.rp_filter": "1",
  };
  const { changes } = plan(host({ ...ONE_CARD, sysctls }));
  const filters = changes.filter(({ what }) => what.startsWith("loose"));
  assert.deepEqual(commands(filters), [
    "sysctl -w net.ipv4.conf.tun1.rp_filter=2",
    "sysctl -w net.ipv4.conf.ens3.rp_filter=2",
  ]);
  assert.deepEqual(undoing(filters), [
    "sysctl -w net.ipv4.conf.ens3.rp_filter=1",
    "sysctl -w net.ipv4.conf.tun1.rp_filter=1",
  ]);
  // The host's own packets from a second card's address leave by the first. Packets from captured
  // blocks come in by the card that has the captured address.
  const strict = { ...sysctls, "net.ipv4.conf.eth0.rp_filter": "1" };
  const two = commands(plan(host({ ...TWO_CARDS, sysctls: strict })).changes);
  assert.deepEqual(two.filter((each) => each.startsWith("sysctl")), [
    "sysctl -w net.ipv4.conf.tun1.rp_filter=2",
    "sysctl -w net.ipv4.conf.eth0.rp_filter=2",
    "sysctl -w net.ipv4.conf.eth1.rp_filter=2",
  ]);
});

Deno.test("host plan: lets fragments arrive far apart, unless they may already", () => {
  const NAME = "net.ipv4.ipfrag_max_dist";
  const planned = (value: string, held: [string, number][] = []) =>
    plan(host({ ...TWO_CARDS, sysctls: { [NAME]: value }, held })).changes
      .filter(({ what }) => what.startsWith("fragments"));
  for (const value of ["1", "64", "65535"]) {
    assert.deepEqual(commands(planned(value)), [`sysctl -w ${NAME}=65536`]);
    assert.deepEqual(undoing(planned(value)), [`sysctl -w ${NAME}=${value}`]);
  }
  for (const value of ["0", "65536", "100000"]) assert.deepEqual(planned(value), []);
  // Another run may undo this when it ends, which is no reason to refuse this run.
  assert.deepEqual(planned("65536", [["fragments far apart are put together", 4711]]), []);
});

Deno.test("host plan: the reverse path filter is the stricter of `all` and the interface", () => {
  const loosened = (all: string, own: string) =>
    commands(
      plan(host({
        ...ONE_CARD,
        sysctls: { "net.ipv4.conf.all.rp_filter": all, "net.ipv4.conf.ens3.rp_filter": own },
      })).changes,
    ).includes("sysctl -w net.ipv4.conf.ens3.rp_filter=2");
  const table = [["0", "0", false], ["0", "1", true], ["1", "0", true], ["1", "1", true]] as const;
  for (const [all, own, expected] of table) assert.equal(loosened(all, own), expected, `${all} ${own}`);
  for (const [all, own] of [["2", "0"], ["2", "1"], ["0", "2"], ["1", "2"]] as const) {
    assert.equal(loosened(all, own), false, `${all} ${own}`);
  }
});

Deno.test("host plan: uses what was made by hand, and leaves it alone", () => {
  assert.deepEqual(commands(plan(host(BY_HAND)).changes), [
    ...REFUSALS,
    ...unboundAs("10.0.2.15"),
    ...EXIT,
    FIREWALL,
  ]);
  const everything = {
    ...BY_HAND,
    routes: [
      ...BY_HAND.routes,
      ...["18.0.0.0/8", "128.0.0.0/8"].flatMap((block) => [
        `${block} dev lo table 9 metric 4096`,
        `${block} dev lo src 10.0.2.15 table 900 metric 4096`,
        `${block} dev tun1 src 10.0.2.15 table 900`,
      ]),
      "192.168.201.0/24 dev eth1 table 901",
      "default via 192.168.201.1 dev eth1 table 901",
      "prohibit 0.0.0.0/0 table 901 metric 4096",
    ],
    rules: [
      ...BY_HAND.rules,
      rule("7: from all fwmark 0x6f6e0385 table 901"),
      rule("8: from 0.0.0.0 table 900"),
      rule("7: from all fwmark 0x6f6e8009 table 254"),
    ],
  };
  assert.deepEqual(commands(plan(host(everything)).changes), [FIREWALL]);
});

Deno.test("host plan: completes what was half made by hand", () => {
  const down = { ...BY_HAND, interfaces: [...TWO_CARDS.interfaces, tunByHand("tun1", [], { isUp: false })] };
  assert.deepEqual(commands(plan(host(down), { stage: "2" }).changes), [
    "ip address add 10.5.51.2/24 dev tun1",
    "ip link set tun1 up",
  ]);
  const { changes, mtu } = plan(
    host({ interfaces: [tunByHand("tun1", ["10.5.51.2/16"], { mtu: 9000 })] }),
    { stage: "2" },
  );
  assert.deepEqual(
    commands(changes),
    ["ip address add 10.5.51.2/24 dev tun1"],
    "another prefix makes it another address",
  );
  assert.equal(mtu, 9000);
});

Deno.test("host plan: the routers' mark comes before the capturing rule, whatever its priority", () => {
  const marks = (...rules: ReturnType<typeof rule>[]) =>
    commands(plan(host({ ...ONE_CARD, rules })).changes).filter((each) =>
      each.startsWith("ip rule add fwmark 0x6f6e0385")
    );
  assert.deepEqual(marks(rule("4: from 203.0.113.7 table 9")), [
    "ip rule add fwmark 0x6f6e0385 table 901 priority 3",
  ]);
  assert.deepEqual(marks(rule("100: from 203.0.113.7 table 9")), [
    "ip rule add fwmark 0x6f6e0385 table 901 priority 7",
  ]);
  assert.deepEqual(marks(rule("6: from all fwmark 0x6f6e0385 table 901")), [], "made by hand");
  assert.deepEqual(marks(rule("9: from all fwmark 0x6f6e0385 table 901")), [
    "ip rule add fwmark 0x6f6e0385 table 901 priority 7",
  ], "too late");
});

Deno.test("host plan: refuses an address that another interface has", () => {
  const another = "choose another with --address";
  const beside = (name: string, ...addresses: string[]) =>
    host({ ...TWO_CARDS, interfaces: [...TWO_CARDS.interfaces, card(name, addresses)] });
  const options = { stage: "2" };
  refuses(beside("br0", "10.5.51.2/16"), options, "10.5.51.2 is taken: br0 has 10.5.51.2/16", another);
  refuses(beside("br0", "10.5.51.1/24"), options, "10.5.51.2/24 is taken: br0 has 10.5.51.1/24", another);
  refuses(beside("br0", "10.5.51.129/25"), options, "10.5.51.2/24 is taken: br0 has 10.5.51.129/25", another);
  assert.doesNotThrow(() => plan(beside("br0", "10.5.0.1/16"), options), "the narrower route wins");
  assert.doesNotThrow(() => plan(beside("br0", "10.5.52.2/24"), options));
});

Deno.test("host plan: refuses a block that a route leads elsewhere", () => {
  const another = "choose another with --address";
  const withRoute = (text: string) => host({ ...TWO_CARDS, routes: [...TWO_CARDS.routes, text] });
  refuses(
    withRoute("10.5.51.64/26 via 10.0.2.3 dev eth0"),
    { stage: "2" },
    "10.5.51.2/24 is taken: a route leads 10.5.51.64/26 to eth0",
    another,
  );
  refuses(
    withRoute("10.5.51.0/24 dev wg0"),
    { stage: "2" },
    "10.5.51.2/24 is taken: a route leads 10.5.51.0/24 to wg0",
    another,
  );
  refuses(
    withRoute("10.5.51.7"),
    { stage: "2" },
    "10.5.51.2/24 is taken: a route leads 10.5.51.7/32 to nowhere",
    another,
  );
  for (
    const harmless of [
      "10.5.51.0/24 dev wg0 metric 50",
      "10.5.0.0/16 dev wg0",
      "10.5.51.0/24 dev wg0 table 51820",
      "10.5.51.0/24 dev tun1",
    ]
  ) assert.doesNotThrow(() => plan(withRoute(harmless), { stage: "2" }), harmless);
});

Deno.test("host plan: refuses to rely on what another run will undo", () => {
  // The other run captures other packets with its own TUN, and leaves by the same exit.
  const beside = host({
    ...TWO_CARDS,
    interfaces: [...TWO_CARDS.interfaces, tunByHand("tun7", ["10.5.57.2/24"], { hasCarrier: true })],
    routes: [
      ...TWO_CARDS.routes,
      "1.0.0.0/8 dev tun7 table 7",
      "default via 192.168.201.1 dev eth1 table 901",
    ],
    rules: [rule("7: from all fwmark 0x6f6e0385 table 901"), rule("8: from 10.0.2.15 table 7")],
    held: [["default route of eth1 in table 901", 815], ["rule for router 1's packets to table 901", 815]],
  });
  refuses(
    beside,
    {},
    "another run, process 815, has made this and will undo it when it ends: default route of eth1 in table 901",
    "end that run, or choose another --table, --priority and --exit",
  );
  assert.doesNotThrow(() => plan(beside, { table: "10" }));
});

Deno.test("host plan: prints commands that can be typed, the TUN first", () => {
  const printed = planCommands(settingsOf(), host(TWO_CARDS), 4711, "nft");
  assert.deepEqual(printed.slice(0, 4), [
    "ip tuntap add dev tun1 mode tun",
    "ip address add 10.5.51.2/24 dev tun1",
    "ip link set tun1 up",
    "ip rule add from 10.0.2.15 table 9 priority 8",
  ]);
  assert.deepEqual(
    planCommands(settingsOf({ stage: "3" }), host(BY_HAND), 4711, "nft").slice(0, 3),
    [...REFUSALS, "ip rule add from 0.0.0.0/32 table 900 priority 8"],
  );
});

Deno.test("host plan: a run keeps its interfaces, rules, routes and firewall, also those made by hand", () => {
  const needed = (parts: Parameters<typeof host>[0], options?: Parameters<typeof settingsOf>[0]) => {
    const { links, kept } = plan(host(parts), options).needs;
    return [links.map(({ name, mtu }) => `${name} ${mtu ?? "any"}`), kept.map(({ what }) => what)];
  };
  const into = (table: number) => [
    `route of 18.0.0.0/8 to tun1 in table ${table}`,
    `route of 128.0.0.0/8 to tun1 in table ${table}`,
    `refusal of 18.0.0.0/8 in table ${table}`,
    `refusal of 128.0.0.0/8 in table ${table}`,
  ];
  const captured = (from: string) => [
    "address 10.5.51.2/24 on tun1",
    `rule from ${from} to table 9`,
    ...into(9),
    "rule from 0.0.0.0 to table 900",
    ...into(900),
    "rule for answers past table 9",
  ];
  const firewall = "firewall table onion_4711";
  assert.deepEqual(needed(BY_HAND), [
    ["tun1 1500", "eth1 any"],
    [
      ...captured("10.0.2.15"),
      "route to neighbours 192.168.201.0/24 of eth1 in table 901",
      "default route of eth1 in table 901",
      "refusal of 0.0.0.0/0 in table 901",
      "rule for router 1's packets to table 901",
      firewall,
    ],
  ]);
  assert.deepEqual(needed(ONE_CARD), [
    ["tun1 1500", "ens3 any"],
    [
      ...captured("203.0.113.7"),
      "route to neighbours 203.0.113.0/24 of ens3 in table 901",
      "default route of ens3 in table 901",
      "refusal of 0.0.0.0/0 in table 901",
      "rule for router 1's packets to table 901",
      firewall,
    ],
  ]);
  assert.deepEqual(needed(TWO_CARDS, { stage: "2" }), [["tun1 1500"], ["address 10.5.51.2/24 on tun1"]]);
});

Deno.test("host plan: routers that share an address share the echo identifiers", () => {
  const settings = settingsOf({ stage: "4", routers: "3", exit: "eth0,eth1,eth0" });
  const { routers } = planExits(settings, address("10.0.2.15"), host(TWO_CARDS));
  assert.deepEqual(
    routers.map(({ settings }) =>
      settings.kind === "raw-icmp" && [settings.address, settings.share, settings.mark]
    ),
    [
      [address("10.0.2.15"), { index: 0, of: 2 }, 0x6f6e_0385],
      [address("192.168.201.2"), { index: 0, of: 1 }, 0x6f6e_0386],
      [address("10.0.2.15"), { index: 1, of: 2 }, 0x6f6e_0387],
    ],
  );
});

Deno.test("host plan: a stage that carries no packets has no exits", () => {
  assert.deepEqual(planExits(settingsOf({ stage: "1" }), undefined, host(TWO_CARDS)), {
    routers: [],
    changes: [],
  });
});
