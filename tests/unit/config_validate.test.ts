import assert from "node:assert/strict";
import { flagOf, FLAGS, type RawOptions, stageList } from "../../src/config/options.ts";
import { STAGES } from "../../src/config/stages.ts";
import { validate } from "../../src/config/validate.ts";
import { show } from "../../src/config/values.ts";
import { ConfigError } from "../../src/errors.ts";
import { formatCidr } from "../../src/ip/cidr.ts";
import { STAGE_2_DEFAULTS } from "../support/settings.ts";

/** Raw options, as if given as flags. */
function flags(texts: Partial<Record<keyof typeof FLAGS, string>>): RawOptions {
  const given = Object.entries(texts).map(([name, text]) => {
    return [name, { text, name: flagOf(name), at: "" }];
  });
  return Object.fromEntries(given);
}

function refuses(texts: Parameters<typeof flags>[0], message: string, remedy: string): void {
  assert.throws(() => validate(flags(texts)), new ConfigError(message, remedy));
}

/** The reason for refusing a number. */
const numberFault = (text: string) => /^\d+$/.test(text) ? "out of range" : "not a whole number";

Deno.test("settings: a stage alone fills in all defaults", () => {
  assert.deepEqual(validate(flags({ stage: "2" })), STAGE_2_DEFAULTS);
  assert.equal(validate(flags({ stage: "1" })).hops, 0);
});

Deno.test("settings: takes every option", () => {
  const said = {
    stage: "6",
    routers: "3",
    hops: "2",
    circuitLifetime: "60",
    linkMtu: "1500",
    tun: "onion0",
    address: "192.168.7.1/30",
    from: "10.0.2.15",
    capture: "18.0.0.0/8,128.30.2.155",
    table: "7",
    priority: "6",
    exit: "eth1,eth2@192.168.202.1",
    printCommands: "yes",
    placement: "free",
    latency: "20",
    pcap: "seen",
    noRestart: "yes",
    logDir: "/tmp",
    logLevel: "debug",
    noPacketLog: "yes",
    json: "yes",
  };
  assert.deepEqual(Object.keys(said), Object.keys(FLAGS), "this test knows every option");
  assert.deepEqual(validate(flags(said)), {
    stage: STAGES[5],
    routers: 3,
    hops: 2,
    circuitLifetime: 60,
    linkMtu: 1500,
    tun: "onion0",
    address: { address: 0xc0a80701, prefix: 30 },
    from: 0x0a00020f,
    capture: [{ address: 0x12000000, prefix: 8 }, { address: 0x801e029b, prefix: 32 }],
    table: 7,
    priority: 6,
    exit: [{ interface: "eth1", gateway: undefined }, { interface: "eth2", gateway: 0xc0a8ca01 }],
    printCommands: true,
    placement: "free",
    latency: 20,
    pcap: "seen",
    noRestart: true,
    logDir: "/tmp",
    logLevel: "debug",
    noPacketLog: true,
    json: true,
  });
});

Deno.test("settings: are frozen", () => {
  const settings = validate(flags({ stage: "3", exit: "eth1" }));
  const { address, capture, exit } = settings;
  for (const part of [settings, address, capture, capture[0], exit, exit?.[0]]) {
    assert.ok(part !== undefined && Object.isFrozen(part));
  }
});

Deno.test("--stage: accepts the stages of this version", () => {
  refuses({}, "no stage is given", "choose one with --stage N; there are stages 1, 2, 3, 4, 5 and 6");
  for (const none of ["12", "0", "10", "-1", "two", "2.0", "1e0", "99999999999999999999"]) {
    refuses({ stage: none }, `there is no stage ${none}`, "stages go from 1 to 9");
  }
  refuses({ stage: "" }, 'there is no stage ""', "stages go from 1 to 9");
  refuses({ stage: "7" }, "stage 7 is not in this version", "it runs stages 1, 2, 3, 4, 5 and 6");
});

Deno.test("stageList: puts stages in words", () => {
  assert.equal(stageList(STAGES.slice(0, 1)), "stage 1");
  assert.equal(stageList(STAGES.slice(0, 2)), "stages 1 and 2");
  assert.equal(stageList(STAGES.slice(0, 3)), "stages 1, 2 and 3");
});

Deno.test("--routers and --hops: refuse a number outside the stage's range", () => {
  for (const wrong of ["2", "0", "one", "1.0", "-1"]) {
    refuses(
      { stage: "2", routers: wrong },
      `--routers ${wrong}: stage 2 has exactly 1 router`,
      "leave it out, or write --routers 1",
    );
    refuses(
      { stage: "2", hops: wrong },
      `--hops ${wrong}: stage 2 has exactly 1 hop`,
      "leave it out, or write --hops 1",
    );
  }
});

Deno.test("--routers: names both ends of the range", () => {
  const { read } = FLAGS.routers;
  const stage = { ...STAGES[1]!, number: 4, routers: { min: 1, max: 6, default: 6 } };
  const given = (text: string) => ({ text, name: "num_routers", at: "lab.conf:3: " });
  assert.equal(read(given("6"), { stage }), 6);
  assert.throws(
    () => read(given("7"), { stage }),
    new ConfigError("lab.conf:3: num_routers 7: stage 4 has 1 to 6 routers", "choose a number from 1 to 6"),
  );
});

Deno.test("stage 4: accepts 1 to 6 routers, and one hop", () => {
  const defaults = validate(flags({ stage: "4" }));
  assert.deepEqual([defaults.routers, defaults.hops], [4, 1]);
  for (const routers of ["1", "6"]) {
    assert.equal(validate(flags({ stage: "4", routers })).routers, Number(routers));
  }
  for (const wrong of ["0", "7"]) {
    refuses(
      { stage: "4", routers: wrong },
      `--routers ${wrong}: stage 4 has 1 to 6 routers`,
      "choose a number from 1 to 6",
    );
  }
  refuses(
    { stage: "4", hops: "2" },
    "--hops 2: stage 4 has exactly 1 hop",
    "leave it out, or write --hops 1",
  );
});

for (const stage of ["5", "6"]) {
  Deno.test(`stage ${stage}: accepts 2 to 6 routers, and fewer hops than routers`, () => {
    // The default is three hops, or the maximum if that is less.
    const hops: [routers: string | undefined, byDefault: number, max: number][] = [
      [undefined, 3, 3],
      ["2", 1, 1],
      ["3", 2, 2],
      ["4", 3, 3],
      ["5", 3, 4],
      ["6", 3, 5],
    ];
    for (const [routers, byDefault, max] of hops) {
      const said = { stage, ...(routers !== undefined && { routers }) };
      const settings = validate(flags(said));
      assert.deepEqual([settings.routers, settings.hops], [Number(routers ?? 4), byDefault]);
      for (let hops = 1; hops <= max; hops++) {
        assert.equal(validate(flags({ ...said, hops: `${hops}` })).hops, hops);
      }
      for (const wrong of ["0", `${max + 1}`]) {
        const has = max === 5 ? `stage ${stage} has` : `stage ${stage} with ${routers ?? 4} routers has`;
        refuses(
          { ...said, hops: wrong },
          `--hops ${wrong}: ${has} ${max === 1 ? "exactly 1 hop" : `1 to ${max} hops`}`,
          max === 1 ? "leave it out, or write --hops 1" : `choose a number from 1 to ${max}`,
        );
      }
    }
    for (const wrong of ["0", "1", "7", "two"]) {
      refuses(
        { stage, routers: wrong },
        `--routers ${wrong}: stage ${stage} has 2 to 6 routers`,
        "choose a number from 2 to 6",
      );
    }
  });
}

Deno.test("--circuit-lifetime: accepts 10 s to a week, 10 minutes by default", () => {
  const lifetime = (circuitLifetime: string) =>
    validate(flags({ stage: "6", circuitLifetime })).circuitLifetime;
  assert.equal(validate(flags({ stage: "5" })).circuitLifetime, 600);
  assert.deepEqual(["10", "604800"].map(lifetime), [10, 604_800]);
  for (const wrong of ["9", "604801", "10m", "-10", "1e3"]) {
    refuses(
      { stage: "6", circuitLifetime: wrong },
      `--circuit-lifetime ${wrong}: ${numberFault(wrong)}`,
      "choose a number from 10 to 604800",
    );
  }
  for (const stage of ["1", "2", "3", "4"]) {
    refuses(
      { stage, circuitLifetime: "600" },
      `--circuit-lifetime has no effect in stage ${stage}`,
      "leave it out, or run stages 5 and 6",
    );
  }
});

Deno.test("--link-mtu: accepts IPv6's minimum to IPv4's maximum", () => {
  const mtu = (linkMtu: string) => validate(flags({ stage: "2", linkMtu })).linkMtu;
  assert.equal(validate(flags({ stage: "6" })).linkMtu, 65_535);
  assert.deepEqual(["1280", "1500", "65535"].map(mtu), [1280, 1500, 65_535]);
  for (const wrong of ["1279", "65536", "0", "jumbo", ""]) {
    const shown = wrong === "" ? '""' : wrong;
    refuses(
      { stage: "6", linkMtu: wrong },
      `--link-mtu ${shown}: ${numberFault(wrong)}`,
      "choose a number from 1280 to 65535",
    );
  }
  refuses(
    { stage: "1", linkMtu: "1500" },
    "--link-mtu has no effect in stage 1",
    "leave it out, or run stages 2, 3, 4, 5 and 6",
  );
});

Deno.test("settings: refuse an option without effect in the stage", () => {
  for (const [name, text] of [["hops", "1"], ["tun", "tun1"], ["address", "10.5.51.2/24"]] as const) {
    refuses(
      { stage: "1", [name]: text },
      `--${name} has no effect in stage 1`,
      "leave it out, or run stages 2, 3, 4, 5 and 6",
    );
  }
  const captures = {
    from: "10.0.2.15",
    capture: "18.0.0.0/8",
    table: "9",
    priority: "8",
    exit: "eth1",
    printCommands: "yes",
  };
  for (const [name, text] of Object.entries(captures)) {
    const flag = flagOf(name);
    refuses(
      { stage: "2", [name]: text },
      `${flag} has no effect in stage 2`,
      "leave it out, or run stages 3, 4, 5 and 6",
    );
  }
});

Deno.test("--tun: accepts what the kernel accepts", () => {
  const remedy = "choose a name like tun1";
  const chars = "a name cannot contain a space, '/', ':' or '%'";
  assert.equal(validate(flags({ stage: "2", tun: "a23456789012345" })).tun.length, 15);
  assert.equal(validate(flags({ stage: "2", tun: "tün" })).tun, "tün");
  const cases: [string, string, string][] = [
    ["", '""', "an interface needs a name"],
    ["a234567890123456", "a234567890123456", "longer than the 15 bytes that the kernel allows"],
    ["tüüüüüüü1", '"tüüüüüüü1"', "longer than the 15 bytes that the kernel allows"],
    [".", ".", "the kernel reserves this name"],
    ["..", "..", "the kernel reserves this name"],
    ["all", "all", "the kernel reserves this name"],
    ["a/b", "a/b", chars],
    ["a:b", "a:b", chars],
    ["tun%d", "tun%d", chars],
    ["a b", '"a b"', chars],
    ["a\tb", '"a\\tb"', chars],
    // Its second byte in UTF-8 is 0xa0.
    ["à", '"à"', chars],
  ];
  for (const [tun, shown, reason] of cases) refuses({ stage: "2", tun }, `--tun ${shown}: ${reason}`, remedy);
});

Deno.test("--address: accepts a host address in a block with room for another", () => {
  const cases: [address: string, reason: string, remedy: string][] = [
    ["10.5.51.2", "the prefix length is missing", "write e.g. 10.5.51.2/24"],
    ["10.5.51/24", "not an IPv4 address with a prefix length", "write it like 10.5.51.2/24"],
    ["fe80::1/64", "not an IPv4 address with a prefix length", "write it like 10.5.51.2/24"],
    ["10.5.51.2/31", "a /31 leaves no room for another host", "choose a prefix length from 8 to 30"],
    ["10.5.51.2/7", "a /7 covers too much of the Internet", "choose a prefix length from 8 to 30"],
    [
      "10.5.51.0/24",
      "this is the network address of 10.5.51.0/24",
      "choose a host address, from 10.5.51.1 to 10.5.51.254",
    ],
    [
      "192.168.7.3/30",
      "this is the broadcast address of 192.168.7.0/30",
      "choose a host address, from 192.168.7.1 to 192.168.7.2",
    ],
  ];
  for (const [address, reason, remedy] of cases) {
    refuses({ stage: "2", address }, `--address ${address}: ${reason}`, remedy);
  }
  for (const address of ["127.0.0.1/8", "224.0.0.5/24", "0.0.0.1/8", "240.0.0.1/8"]) {
    refuses(
      { stage: "2", address },
      `--address ${address}: no interface can have this address`,
      "choose one from 1.0.0.0 to 223.255.255.255, except 127.0.0.0/8",
    );
  }
});

Deno.test("--table and --priority: keep clear of the kernel's own", () => {
  const { table, priority } = validate(flags({ stage: "3", table: "252", priority: "32765" }));
  assert.deepEqual([table, priority], [252, 32765]);
  for (const table of ["0", "253", "main", "0x9", "9.0", "-1", ""]) {
    const shown = table === "" ? '""' : table;
    refuses(
      { stage: "3", table },
      `--table ${shown}: ${numberFault(table)}`,
      "choose a number from 1 to 252",
    );
  }
  for (const priority of ["0", "1", "32766", "eight"]) {
    refuses(
      { stage: "3", priority },
      `--priority ${priority}: ${numberFault(priority)}`,
      "choose a number from 2 to 32765",
    );
  }
});

Deno.test("--from: accepts a host address", () => {
  assert.equal(validate(flags({ stage: "3", from: "10.0.2.15" })).from, 0x0a00020f);
  for (const from of ["eth0", "10.0.2", "10.0.2.15/24", "10.0.2.015", "fe80::1"]) {
    refuses({ stage: "3", from }, `--from ${from}: not an IPv4 address`, "write it like 10.0.2.15");
  }
  refuses({ stage: "3", from: "" }, '--from "": not an IPv4 address', "write it like 10.0.2.15");
  for (const from of ["127.0.0.1", "0.0.0.0", "224.0.0.5", "255.255.255.255"]) {
    refuses(
      { stage: "3", from },
      `--from ${from}: no host can have this address`,
      "choose one from 1.0.0.0 to 223.255.255.255, except 127.0.0.0/8",
    );
  }
});

/** The value of `--capture`, read and written again. */
function captured(text: string): string {
  return validate(flags({ stage: "3", capture: text })).capture.map(formatCidr).join();
}

Deno.test("--capture: keeps the order, and drops duplicates and nested blocks", () => {
  assert.equal(captured("128.0.0.0/8,18.0.0.0/8"), "128.0.0.0/8,18.0.0.0/8");
  assert.equal(captured("18.0.0.0/8,128.0.0.0/8,18.0.0.0/8"), "18.0.0.0/8,128.0.0.0/8");
  assert.equal(captured("18.9.0.0/16,18.0.0.0/8,18.9.22.69/32,19.0.0.0/8"), "18.0.0.0/8,19.0.0.0/8");
  assert.equal(captured("18.0.0.0/8,19.0.0.0/8"), "18.0.0.0/8,19.0.0.0/8", "neighbours stay apart");
  assert.equal(captured("0.0.0.0/0"), "0.0.0.0/0", "all there is");
  assert.equal(captured("0.0.0.0/1,128.0.0.0/1"), "0.0.0.0/1,128.0.0.0/1", "the same, as VPNs write it");
  assert.equal(captured("18.0.0.0/8,0.0.0.0/0"), "0.0.0.0/0");
});

Deno.test("--capture: accepts a single address", () => {
  assert.equal(captured("128.30.2.155"), "128.30.2.155/32");
  assert.equal(captured("128.30.2.155,128.30.2.155/32"), "128.30.2.155/32");
});

Deno.test("--capture: refuses blocks without hosts", () => {
  const cases: [capture: string, reason: string, remedy: string][] = [
    ["18.0.0.0/8,", '"" is not an IPv4 block', "write blocks like 18.0.0.0/8,128.0.0.0/8"],
    ["18/8", "18/8 is not an IPv4 block", "write blocks like 18.0.0.0/8,128.0.0.0/8"],
    ["18.0.0.0/33", "18.0.0.0/33 is not an IPv4 block", "write blocks like 18.0.0.0/8,128.0.0.0/8"],
    ["2001:db8::/32", "2001:db8::/32 is not an IPv4 block", "write blocks like 18.0.0.0/8,128.0.0.0/8"],
    ["mit.edu", "mit.edu is not an IPv4 block", "write blocks like 18.0.0.0/8,128.0.0.0/8"],
    ["18.0.0.0/8,128.30.2.155/8", "128.30.2.155/8 has bits set after its prefix", "write 128.0.0.0/8"],
    ["0.0.0.1/0", "0.0.0.1/0 has bits set after its prefix", "write 0.0.0.0/0"],
  ];
  for (const [capture, reason, remedy] of cases) {
    refuses({ stage: "3", capture }, `--capture ${capture}: ${reason}`, remedy);
  }
  refuses(
    { stage: "3", capture: "18.0.0.0/8, 128.0.0.0/8" },
    '--capture "18.0.0.0/8, 128.0.0.0/8": " 128.0.0.0/8" is not an IPv4 block',
    "write blocks like 18.0.0.0/8,128.0.0.0/8",
  );
  for (const none of ["127.0.0.0/8", "127.0.0.1", "0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "224.0.0.251"]) {
    refuses(
      { stage: "3", capture: `18.0.0.0/8,${none}` },
      `--capture 18.0.0.0/8,${none}: no host has an address in ${none}`,
      "choose one from 1.0.0.0 to 223.255.255.255, except 127.0.0.0/8",
    );
  }
});

Deno.test("--exit: accepts interfaces, with or without a gateway", () => {
  const { exit } = validate(flags({ stage: "3", exit: "eth1@192.168.201.1,eth2,wan.5" }));
  assert.deepEqual(exit, [
    { interface: "eth1", gateway: 0xc0a8c901 },
    { interface: "eth2", gateway: undefined },
    { interface: "wan.5", gateway: undefined },
  ]);
  const remedy = "write it like eth1 or eth1@192.168.201.1";
  const cases: [exit: string, shown: string, reason: string][] = [
    ["", '""', '"" is not an interface name: an interface needs a name'],
    ["eth1,", "eth1,", '"" is not an interface name: an interface needs a name'],
    ["@10.0.0.1", "@10.0.0.1", '"" is not an interface name: an interface needs a name'],
    [
      "eth1, eth2",
      '"eth1, eth2"',
      "\" eth2\" is not an interface name: a name cannot contain a space, '/', ':' or '%'",
    ],
    [
      "eth4567890123456",
      "eth4567890123456",
      "eth4567890123456 is not an interface name: longer than the 15 bytes that the kernel allows",
    ],
    ["eth1@", "eth1@", '"" is not the IPv4 address of a gateway'],
    ["eth1@gw", "eth1@gw", "gw is not the IPv4 address of a gateway"],
    ["eth1@10.0.0.1/24", "eth1@10.0.0.1/24", "10.0.0.1/24 is not the IPv4 address of a gateway"],
    ["eth1@0.0.0.0", "eth1@0.0.0.0", "0.0.0.0 is not the IPv4 address of a gateway"],
    ["eth1@10.0.0.1@x", "eth1@10.0.0.1@x", "10.0.0.1@x is not the IPv4 address of a gateway"],
  ];
  for (const [exit, shown, reason] of cases) {
    refuses({ stage: "3", exit }, `--exit ${shown}: ${reason}`, remedy);
  }
});

Deno.test("settings: check the remaining values", () => {
  assert.equal(validate(flags({ stage: "3", printCommands: "yes" })).printCommands, true);
  refuses(
    { stage: "1", logDir: "" },
    '--log-dir "": a directory needs a name',
    "write . for the current directory",
  );
  refuses(
    { stage: "1", logLevel: "loud" },
    "--log-level loud: no such level",
    "choose one of debug, info, warning, error, off",
  );
});

Deno.test("show: makes text from outside safe for a terminal", () => {
  assert.equal(show("tun1"), "tun1");
  assert.equal(show(""), '""');
  assert.equal(show('a "b"'), '"a \\"b\\""');
  assert.equal(show("\x1b[31mred\n"), '"\\u001b[31mred\\n"');
  assert.equal(show("a\u202eb\x9bc"), '"a\\u{202e}b\\u{9b}c"');
  assert.equal(show("x".repeat(61)), `"${"x".repeat(60)}…"`);
});
