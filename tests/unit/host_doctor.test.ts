import { STAGES } from "../../src/config/stages.ts";
import { OperatorError } from "../../src/errors.ts";
import { conclude, type Finding } from "../../src/host/diagnosis.ts";
import { diagnose } from "../../src/host/doctor.ts";
import type { Facts } from "../../src/host/facts.ts";
import type { HostState } from "../../src/host/plan/state.ts";
import { parseUdpPorts } from "../../src/host/ports.ts";
import { BY_HAND, card, host, ONE_CARD, rule, tunByHand, TWO_CARDS } from "../support/host_state.ts";
import { address } from "../support/packets.ts";
import { LOOPBACK } from "../../src/ip/address.ts";
import assert from "node:assert/strict";

const SYSCTLS: Readonly<Record<string, string>> = {
  "net.ipv4.ip_forward": "0",
  "net.ipv4.ip_local_port_range": "32768\t60999",
  "net.ipv4.ip_local_reserved_ports": "",
};

/** A host that lacks nothing, except for these facts. */
function facts(but: Partial<Facts> = {}): Facts {
  return {
    isRoot: true,
    has: () => true,
    tunDriver: { isLoaded: true, hasDevice: true },
    hasLoopback: true,
    loopback: { source: LOOPBACK },
    udpPorts: new Set([53, 32768]),
    sysctl: (name) => SYSCTLS[name],
    firewallTool: "nft",
    sealing: { name: "libcrypto", version: "3.0.19" },
    network: host(TWO_CARDS),
    ask: () => ({ kind: "leaves", device: "eth0", table: 254, source: address("10.0.2.15") }),
    leftovers: [],
    ...but,
  };
}

/** Findings as `mark name: says; remedy`. */
function told(but: Partial<Facts>, ...names: string[]): string[] {
  return diagnose(facts(but)).findings.filter(({ name }) => names.length === 0 || names.includes(name)).map(
    line,
  );
}

const line = ({ mark, name, says, mend }: Finding) =>
  [`${mark} ${name}: ${says}`, mend].filter((part) => part !== undefined).join("; ");

/** For each stage, what prevents it from running. */
function verdicts(but: Partial<Facts>): Record<number, string> {
  return Object.fromEntries(diagnose(facts(but)).stages.map(({ stage, lacks }) => [stage, lacks.join()]));
}

/** The same, if all stages that capture lack the same. */
function lacking(first: string, second: string, capturing: string): Record<number, string> {
  return { 1: first, 2: second, 3: capturing, 4: capturing, 5: capturing, 6: capturing };
}

/** Four routers that leave by one interface with the captured address. */
function fourBy(way: string): string[] {
  return [1, 2, 3, 4].map((router) =>
    `ok exit: router ${router} by ${way}: the captured address; a mark tells the packets apart`
  );
}

Deno.test("doctor: a host that lacks nothing", () => {
  assert.deepEqual(told({}), [
    "ok C library: libc.so.6",
    "ok loopback: up",
    "ok data links: a datagram on loopback arrives as it was sent",
    "ok ports: 28231 of 28232 UDP ports are free",
    "ok TUN driver: /dev/net/tun",
    "ok CAP_NET_ADMIN: may change the network",
    "ok CAP_NET_RAW: may open raw sockets",
    "ok ip: iproute2",
    "ok firewall: nft",
    "ok TUN interface: tun1 will be created",
    "ok TUN address: 10.5.51.2/24 is free",
    "ok default route: via 10.0.2.2 dev eth0",
    "ok captured: 10.0.2.15 to 18.0.0.0/8, 128.0.0.0/8, by table 9 and priority 8",
    "ok exit: router 1 by eth1, as 192.168.201.2, via 192.168.201.1",
    // There are no eth2 to eth4.
    ...fourBy("eth0, as 10.0.2.15, via 10.0.2.2"),
    "ok forwarding: net.ipv4.ip_forward is 0, and not needed before stage 7",
    "ok reverse path: no strict filter is in the way",
    "ok rules: none before priority 8",
    "ok other runs: no other run has changed this host",
    "ok leftovers: none",
    "ok sealing: libcrypto 3.0.19: used from stage 6 on",
  ]);
  const { stages, findings } = diagnose(facts());
  assert.deepEqual(stages, STAGES.map(({ number: stage }) => ({ stage, canRun: true, lacks: [] })));
  const stagesOf = (name: string) => findings.find((each) => each.name === name)?.stages;
  assert.deepEqual([stagesOf("loopback"), stagesOf("ip"), stagesOf("exit")], [
    [1, 2, 3, 4, 5, 6],
    [2, 3, 4, 5, 6],
    [3],
  ]);
});

Deno.test("doctor: a host that was set up by hand", () => {
  assert.deepEqual(told({ network: host(BY_HAND) }, "TUN interface", "TUN address", "captured"), [
    "ok TUN interface: tun1 exists: it will be used, and left in place",
    "ok TUN address: 10.5.51.2/24 is there already",
    "ok captured: 10.0.2.15 to 18.0.0.0/8, 128.0.0.0/8, by table 9: its rule exists already",
  ]);
});

Deno.test("doctor: one network card, and a strict filter", () => {
  const sysctls = { "net.ipv4.conf.default.rp_filter": "1", "net.ipv4.conf.ens3.rp_filter": "1" };
  assert.deepEqual(told({ network: host({ ...ONE_CARD, sysctls }) }, "exit", "reverse path"), [
    ...fourBy("ens3, as 203.0.113.7, via 203.0.113.1"),
    "ok reverse path: strict: a run makes it loose, and restores it: " +
    "loose reverse path filter on tun1; loose reverse path filter on ens3",
  ]);
});

Deno.test("doctor: no stage can run while loopback is down", () => {
  assert.deepEqual(told({ hasLoopback: false }, "loopback"), [
    "lacks loopback: the loopback interface is down; ip link set lo up",
  ]);
  assert.deepEqual(verdicts({ hasLoopback: false }), lacking("loopback", "loopback", "loopback"));
});

Deno.test("doctor: the range of ports may be tiny, taken, or reserved", () => {
  const withPorts = (range: string, taken: number[] = [], reserved = ""): Partial<Facts> => ({
    udpPorts: new Set(taken),
    sysctl: (name) =>
      name.endsWith("_range") ? range : name.endsWith("_reserved_ports") ? reserved : undefined,
  });
  const lack = (free: number, needed: number, range = "40000 to 40004") =>
    `lacks ports: of the UDP ports from ${range}, ${free} are free, and proxy and routers need ${needed}; ` +
    "sysctl -w net.ipv4.ip_local_port_range='32768 60999'";
  assert.deepEqual(told(withPorts("40000\t40009"), "ports"), ["ok ports: 10 of 10 UDP ports are free"]);
  const cases: [Partial<Facts>, string[], string][] = [
    [
      withPorts("40000\t40004", [40001, 40004, 53]),
      ["ok ports: 3 of 5 UDP ports are free", lack(3, 4), lack(3, 10)],
      "",
    ],
    [
      withPorts("40000\t40004", [40001], "8080,40003-40004,40000"),
      [lack(1, 3), lack(1, 4), lack(1, 10)],
      "ports",
    ],
    [withPorts("7\t7"), [3, 4, 10].map((needed) => lack(1, needed, "7 to 7")), "ports"],
  ];
  for (const [but, expected, stage1] of cases) {
    assert.deepEqual(told(but, "ports"), expected);
    assert.deepEqual(verdicts(but), lacking(stage1, "ports", "ports"));
  }
  assert.deepEqual(told({ sysctl: () => undefined }, "ports", "forwarding"), [
    "unknown ports: net.ipv4.ip_local_port_range cannot be read",
    "unknown forwarding: net.ipv4.ip_forward cannot be read",
  ]);
});

Deno.test("doctor: reports forwarding, which no stage so far needs", () => {
  const sysctl = (name: string) => name === "net.ipv4.ip_forward" ? "1" : SYSCTLS[name];
  assert.deepEqual(told({ sysctl }, "forwarding"), [
    "ok forwarding: net.ipv4.ip_forward is 1, and not needed before stage 7",
  ]);
  assert.deepEqual(verdicts({ sysctl }), lacking("", "", ""));
});

Deno.test("ports: parses the UDP ports of sockets as the kernel lists them", () => {
  assert.deepEqual(
    parseUdpPorts(
      `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref
  123: 0100007F:9C40 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 10954 2 00000000 0
70012: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000
`,
    ),
    [40_000, 53],
  );
});

Deno.test("doctor: names missing privileges, and how root in a container gets them", () => {
  const none = { isRoot: false, has: () => false, leftovers: undefined };
  assert.deepEqual(
    told(none, "CAP_NET_ADMIN", "CAP_NET_RAW", "leftovers"),
    [
      "lacks CAP_NET_ADMIN: may not change the network; run it as root: sudo onion …",
      "lacks CAP_NET_RAW: may not open raw sockets; run it as root: sudo onion …",
      "unknown leftovers: only root may look; sudo onion doctor",
    ],
  );
  assert.deepEqual(verdicts(none), lacking("", "CAP_NET_ADMIN", "CAP_NET_ADMIN,CAP_NET_RAW"));
  const noRaw: Partial<Facts> = { has: (capability) => capability === "CAP_NET_ADMIN" };
  assert.deepEqual(told(noRaw, "CAP_NET_RAW"), [
    "lacks CAP_NET_RAW: root may not open raw sockets here; in a container, start it with --cap-add=NET_RAW",
  ]);
  assert.deepEqual(verdicts(noRaw), lacking("", "", "CAP_NET_RAW"));
});

Deno.test("doctor: the TUN driver, its device, and who may open it", () => {
  const driver = (isLoaded: boolean, hasDevice: boolean, refuses?: string, isRoot = true) =>
    told({ tunDriver: { isLoaded, hasDevice, ...(refuses && { refuses }) }, isRoot }, "TUN driver")[0];
  const start = "in a container, start it with --device /dev/net/tun";
  assert.equal(
    driver(false, false),
    "lacks TUN driver: /dev/net/tun and its driver are missing; modprobe tun",
  );
  assert.equal(
    driver(true, false),
    "lacks TUN driver: /dev/net/tun is missing, though the kernel has its driver; " +
      `mkdir -p /dev/net && mknod /dev/net/tun c 10 200; ${start}`,
  );
  assert.equal(
    driver(false, true),
    "note TUN driver: /dev/net/tun exists; the kernel loads its driver on first use; modprobe tun",
  );
  assert.equal(
    driver(true, true, "Operation not permitted (os error 1)"),
    `lacks TUN driver: /dev/net/tun cannot be opened: Operation not permitted (os error 1); ${start}`,
  );
  assert.equal(
    driver(true, true, "Permission denied (os error 13)", false),
    "lacks TUN driver: /dev/net/tun cannot be opened: Permission denied (os error 13); run it as root: sudo onion …",
  );
  const tunDriver = { isLoaded: false, hasDevice: false };
  assert.deepEqual(verdicts({ tunDriver }), lacking("", "TUN driver", "TUN driver"));
  assert.deepEqual(verdicts({ tunDriver: { isLoaded: false, hasDevice: true } }), lacking("", "", ""));
});

Deno.test("doctor: what `ip` would tell is unknown without it", () => {
  const network = new OperatorError("the program ip is missing", "install iproute2");
  assert.deepEqual(told({ network }).filter((each) => !each.startsWith("ok ")), [
    "lacks ip: the program ip is missing; install iproute2",
    ...[
      "TUN interface",
      "TUN address",
      "default route",
      "captured",
      "exit",
      "reverse path",
      "rules",
      "other runs",
    ].map((name) => `unknown ${name}: cannot be checked without ip`),
  ]);
  assert.deepEqual(verdicts({ network }), lacking("", "ip", "ip"));
});

Deno.test("doctor: the firewall tool, or that stages which capture cannot run without one", () => {
  assert.deepEqual(told({ firewallTool: "iptables" }, "firewall"), ["ok firewall: iptables"]);
  assert.deepEqual(told({ firewallTool: undefined }, "firewall"), [
    "lacks firewall: neither nft nor iptables: nothing would bar captured packets; apt-get install nftables",
  ]);
  assert.deepEqual(verdicts({ firewallTool: undefined }), lacking("", "", "firewall"));
});

Deno.test("doctor: the TUN name may belong to another interface or program", () => {
  const with1 = (is: HostState["interfaces"][number]) => ({
    network: host({ ...TWO_CARDS, interfaces: [...TWO_CARDS.interfaces, is] }),
  });
  const another = "choose another with --tun";
  const cases: [HostState["interfaces"][number], string][] = [
    [card("tun1", [], { kind: "tap" }), `lacks TUN interface: tun1 exists, but is of kind tap; ${another}`],
    [
      card("tun1", [], { kind: "wireguard" }),
      `lacks TUN interface: tun1 exists, but is of kind wireguard; ${another}`,
    ],
    [card("tun1", []), `lacks TUN interface: tun1 exists, but is a network card; ${another}`],
    [
      tunByHand("tun1", [], { hasCarrier: true }),
      `lacks TUN interface: tun1 is in use by another program; end that program, or ${another}`,
    ],
  ];
  for (const [is, expected] of cases) {
    assert.deepEqual(told(with1(is), "TUN interface"), [expected]);
    assert.deepEqual(verdicts(with1(is)), lacking("", "TUN interface", "TUN interface"));
  }
});

Deno.test("doctor: reports a taken address once", () => {
  const network = host({
    ...TWO_CARDS,
    interfaces: [...TWO_CARDS.interfaces, card("br0", ["10.5.51.1/24"])],
  });
  assert.deepEqual(told({ network }).filter((each) => !each.startsWith("ok ")), [
    "lacks TUN address: 10.5.51.2/24 is taken: br0 has 10.5.51.1/24; choose another with --address",
  ]);
  assert.deepEqual(verdicts({ network }), lacking("", "TUN address", "TUN address"));
});

Deno.test("doctor: without a default route, stage 3 does not know whose packets to capture", () => {
  const network = host({ interfaces: TWO_CARDS.interfaces, routes: [] });
  assert.deepEqual(told({ network }).filter((each) => !each.startsWith("ok ")), [
    "note default route: none: options must say whose packets to capture and where they leave; see --from and --exit",
    "lacks captured: this host has no default route, so it is unclear whose packets to capture; " +
    "name the address with --from",
  ]);
  assert.deepEqual(verdicts({ network }), lacking("", "", "captured"));
});

Deno.test("doctor: an exit without a gateway", () => {
  const routes = ["default via 10.0.2.2 dev eth0"];
  assert.deepEqual(told({ network: host({ ...TWO_CARDS, routes }) }, "exit").slice(0, 1), [
    "ok exit: router 1 by eth1, as 192.168.201.2, no gateway: where the main table leads",
  ]);
  const network = host({ routes, interfaces: [TWO_CARDS.interfaces[0]!, card("eth1", [])] });
  assert.deepEqual(told({ network }).filter((each) => !each.startsWith("ok ")), [
    "lacks exit: exit eth1 has no gateway in the routing tables; name it: --exit eth1@GATEWAY",
  ]);
});

Deno.test("doctor: a table or priority in use, and rules before ours", () => {
  const inUse = host({ ...TWO_CARDS, routes: [...TWO_CARDS.routes, "default dev wg0 table 9"] });
  assert.deepEqual(told({ network: inUse }).filter((each) => !each.startsWith("ok ")), [
    "lacks captured: table 9 is in use: it leads 0.0.0.0/0 to wg0; choose another with --table",
  ]);
  const twins = [
    [rule("8: from 10.0.2.15 table 9", "iif"), "rule from 10.0.2.15 to table 9"],
    [rule("7: from 10.0.2.0/24 fwmark 0x6f6e8009 table 254"), "rule for answers past table 9"],
  ] as const;
  for (const [twin, what] of twins) {
    const found = told({ network: host({ ...TWO_CARDS, rules: [twin] }) });
    assert.deepEqual(found.filter((each) => each.startsWith("lacks ")), [
      `lacks captured: priority ${twin.priority} is in use: it has a narrower ${what}; choose another with --priority`,
    ]);
  }
  const before = host({
    ...TWO_CARDS,
    rules: [
      rule("5: from all table 51820"),
      rule("6: from 10.0.2.15", "action"),
      rule("7: from 192.168.201.2 table 901"),
      rule("7: from all fwmark 0x6f6e0385 table 254"),
      rule("8: from 10.0.9.0/24 table 8"),
      rule("9: from all table 7"),
    ],
  });
  assert.deepEqual(told({ network: before }, "captured", "rules"), [
    "ok captured: 10.0.2.15 to 18.0.0.0/8, 128.0.0.0/8, by table 9 and priority 4",
    "ok rules: none before priority 4",
  ]);
  assert.deepEqual(verdicts({ network: before }), lacking("", "", ""));
  const first = host({
    ...TWO_CARDS,
    rules: [rule("1: from all table 51820"), rule("6: from 10.0.2.15", "action")],
  });
  assert.deepEqual(told({ network: first }, "rules"), [
    "note rules: rules before ours may lead packets past the tunnel: " +
    "1 from all to 51820; 6 from 10.0.2.15 to nowhere; see `ip rule`, and choose another with --priority",
  ]);
  assert.deepEqual(verdicts({ network: first }), lacking("", "", ""));
});

Deno.test("doctor: asks the kernel whether another way comes first", () => {
  const network = host({ ...TWO_CARDS, rules: [rule("1: from all table 51820")] });
  const ask = () => ({ kind: "leaves", device: "wg0", table: 51820, source: undefined }) as const;
  assert.deepEqual(told({ network, ask }, "rules"), [
    "lacks rules: packets from 10.0.2.15 to 18.0.0.1 would leave by wg0 and not by tun1, " +
    "because of rule 1: from all lookup 51820; remove that rule: ip rule delete priority 1",
  ]);
  assert.deepEqual(verdicts({ network, ask }), lacking("", "", "rules"));
});

Deno.test("doctor: tries the loopback interface as data links use it", () => {
  assert.deepEqual(told({ loopback: { source: address("10.0.2.15") } }, "data links"), [
    "lacks data links: a firewall changes the source of packets on loopback to 10.0.2.15; " +
    'name the interface in its masquerade or SNAT rule: nft `oifname != "lo" masquerade`, ' +
    "iptables `! -o lo -j MASQUERADE`",
  ]);
  assert.deepEqual(verdicts({ loopback: { source: undefined } }), {
    ...lacking("", "data links", "data links"),
  });
  assert.deepEqual(told({ loopback: undefined }, "data links"), ["unknown data links: cannot be tried"]);
});

Deno.test("doctor: another run matters only if we need what it changed", () => {
  const held = [["address 10.9.9.9/24 on tun9", 815]] as [string, number][];
  const beside = { network: host({ ...TWO_CARDS, held }) };
  assert.deepEqual(told(beside, "other runs"), [
    "note other runs: running, with changes of their own: process 815",
  ]);
  const theirs = {
    network: host({ ...BY_HAND, held: [["rule from 10.0.2.15 to table 9", 815], ["tun1 up", 815]] }),
  };
  assert.deepEqual(told(theirs, "other runs"), [
    "lacks other runs: another run, process 815, has made this and will undo it when it ends: tun1 up; " +
    "end that run, or choose another --table, --priority and --exit",
  ]);
  assert.deepEqual(verdicts(theirs), lacking("", "other runs", "other runs"));
});

Deno.test("doctor: lists what dead runs left behind, if we may look", () => {
  assert.deepEqual(
    told(
      { leftovers: ["tun1 up", "rule from 10.0.2.15 to table 9"] },
      "leftovers",
    ),
    [
      "note leftovers: left by a run that died; the next run undoes it or takes it over: tun1 up; rule from 10.0.2.15 to table 9; " +
      "sudo onion down",
    ],
  );
});

Deno.test("diagnosis: a stage lacks each finding once, and only its own findings", () => {
  const finding = (name: string, mark: Finding["mark"], ...stages: number[]): Finding => ({
    name,
    mark,
    says: "",
    stages,
  });
  const { stages } = conclude([
    finding("a", "lacks", 2, 3),
    finding("a", "lacks", 3),
    finding("b", "lacks", 3),
    finding("c", "note", 1),
    finding("d", "unknown", 1),
    finding("e", "ok", 1),
  ]);
  assert.deepEqual(stages, [
    { stage: 1, canRun: true, lacks: [] },
    { stage: 2, canRun: false, lacks: ["a"] },
    { stage: 3, canRun: false, lacks: ["a", "b"] },
    { stage: 4, canRun: true, lacks: [] },
    { stage: 5, canRun: true, lacks: [] },
    { stage: 6, canRun: true, lacks: [] },
  ]);
});

Deno.test("doctor: a missing library for sealing prevents only stages that seal", () => {
  assert.deepEqual(told({ sealing: { name: "node:crypto", version: "Deno 2.9.6" } }, "sealing"), [
    "note sealing: node:crypto of Deno 2.9.6: used from stage 6 on, and several times slower than libcrypto.so.3; " +
    "apt-get install libssl3",
  ]);
  const sealing = new OperatorError("nothing here can seal", "install libssl3");
  assert.deepEqual(told({ sealing }, "sealing"), [
    "lacks sealing: nothing here can seal: needed from stage 6 on; install libssl3",
  ]);
  assert.deepEqual(verdicts({ sealing }), { ...lacking("", "", ""), 6: "sealing" });
});
