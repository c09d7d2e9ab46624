import assert from "node:assert/strict";
import { FLAGS, type RawOptions, stageList } from "../../src/config/options.ts";
import { STAGES } from "../../src/config/stages.ts";
import { validate } from "../../src/config/validate.ts";
import { show } from "../../src/config/values.ts";
import { ConfigError } from "../../src/errors.ts";

/** Raw options as flags would give them. */
function flags(texts: Partial<Record<keyof typeof FLAGS, string>>): RawOptions {
  const given = Object.entries(texts).map(([name, text]) => {
    return [name, { text, name: FLAGS[name as keyof typeof FLAGS].flag, at: "" }];
  });
  return Object.fromEntries(given);
}

function refuses(texts: Parameters<typeof flags>[0], message: string, remedy: string): void {
  assert.throws(() => validate(flags(texts)), new ConfigError(message, remedy));
}

Deno.test("a stage alone fills in everything else", () => {
  assert.deepEqual(validate(flags({ stage: "2" })), {
    stage: STAGES[1],
    routers: 1,
    hops: 1,
    tun: "tun1",
    address: { address: 0x0a053302, prefix: 24 },
    logDir: ".",
    logLevel: "info",
    json: false,
  });
  assert.equal(validate(flags({ stage: "1" })).hops, 0);
});

Deno.test("every option can be said", () => {
  const said = {
    stage: "2",
    routers: "1",
    hops: "1",
    tun: "onion0",
    address: "192.168.7.1/30",
    logDir: "/tmp",
    logLevel: "debug",
    json: "yes",
  };
  assert.deepEqual(Object.keys(said), Object.keys(FLAGS), "this test knows every option");
  assert.deepEqual(validate(flags(said)), {
    stage: STAGES[1],
    routers: 1,
    hops: 1,
    tun: "onion0",
    address: { address: 0xc0a80701, prefix: 30 },
    logDir: "/tmp",
    logLevel: "debug",
    json: true,
  });
});

Deno.test("settings cannot be changed", () => {
  const settings = validate(flags({ stage: "2" }));
  assert.ok(Object.isFrozen(settings));
  assert.ok(Object.isFrozen(settings.address));
});

Deno.test("a stage is one of this version", () => {
  refuses({}, "no stage is named", "name one with --stage N; there are stages 1 and 2");
  for (const none of ["12", "0", "10", "-1", "two", "2.0", "1e0", "99999999999999999999"]) {
    refuses({ stage: none }, `there is no stage ${none}`, "stages go from 1 to 9");
  }
  refuses({ stage: "" }, 'there is no stage ""', "stages go from 1 to 9");
  refuses({ stage: "5" }, "stage 5 is not in this version", "it runs stages 1 and 2");
});

Deno.test("stages in words", () => {
  assert.equal(stageList(STAGES.slice(0, 1)), "stage 1");
  assert.equal(stageList(STAGES.slice(0, 2)), "stages 1 and 2");
  assert.equal(stageList([...STAGES.slice(0, 2), { ...STAGES[1]!, number: 3 }]), "stages 1, 2 and 3");
});

Deno.test("counts keep to the stage's range", () => {
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

Deno.test("a range is said from end to end", () => {
  const { read } = FLAGS.routers;
  const stage = { ...STAGES[1]!, number: 4, routers: { least: 1, most: 6, usual: 6 } };
  const given = (text: string) => ({ text, name: "num_routers", at: "lab.conf:3: " });
  assert.equal(read(given("6"), stage), 6);
  assert.throws(
    () => read(given("7"), stage),
    new ConfigError("lab.conf:3: num_routers 7: stage 4 has 1 to 6 routers", "choose a number from 1 to 6"),
  );
});

Deno.test("an option that means nothing in the stage is refused", () => {
  for (const [name, text] of [["hops", "1"], ["tun", "tun1"], ["address", "10.5.51.2/24"]] as const) {
    refuses(
      { stage: "1", [name]: text },
      `--${name} means nothing in stage 1`,
      "leave it out, or run stage 2",
    );
  }
});

Deno.test("a TUN's name is one that the kernel takes", () => {
  const remedy = "choose a name such as tun1";
  const chars = "a name holds no blank, '/', ':' or '%'";
  assert.equal(validate(flags({ stage: "2", tun: "a23456789012345" })).tun.length, 15);
  assert.equal(validate(flags({ stage: "2", tun: "tün" })).tun, "tün");
  const cases: [string, string, string][] = [
    ["", '""', "an interface needs a name"],
    ["a234567890123456", "a234567890123456", "longer than the 15 bytes that the kernel allows"],
    ["tüüüüüüü1", '"tüüüüüüü1"', "longer than the 15 bytes that the kernel allows"],
    [".", ".", "the kernel keeps this name"],
    ["..", "..", "the kernel keeps this name"],
    ["all", "all", "the kernel keeps this name"],
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

Deno.test("an address is a host's, in a block with room", () => {
  const cases: [address: string, reason: string, remedy: string][] = [
    ["10.5.51.2", "the prefix length is missing", "write 10.5.51.2/24, say"],
    ["10.5.51/24", "no IPv4 address with a prefix length", "write it as in 10.5.51.2/24"],
    ["fe80::1/64", "no IPv4 address with a prefix length", "write it as in 10.5.51.2/24"],
    ["10.5.51.2/31", "a /31 is no room for another host", "choose a prefix length from 8 to 30"],
    ["10.5.51.2/7", "a /7 is too large a part of the Internet", "choose a prefix length from 8 to 30"],
    [
      "10.5.51.0/24",
      "the network address of 10.5.51.0/24",
      "choose a host's, from 10.5.51.1 to 10.5.51.254",
    ],
    [
      "192.168.7.3/30",
      "the broadcast address of 192.168.7.0/30",
      "choose a host's, from 192.168.7.1 to 192.168.7.2",
    ],
  ];
  for (const [address, reason, remedy] of cases) {
    refuses({ stage: "2", address }, `--address ${address}: ${reason}`, remedy);
  }
  for (const address of ["127.0.0.1/8", "224.0.0.5/24", "0.0.0.1/8", "240.0.0.1/8"]) {
    refuses(
      { stage: "2", address },
      `--address ${address}: no interface can have this address`,
      "choose one from 1.0.0.0 to 223.255.255.255 but 127/8",
    );
  }
});

Deno.test("the other values", () => {
  refuses({ stage: "1", logDir: "" }, '--log-dir "": a directory needs a name', "write . for this one");
  refuses(
    { stage: "1", logLevel: "loud" },
    "--log-level loud: no such level",
    "choose one of debug, info, warning, error, off",
  );
});

Deno.test("text from outside cannot play with the terminal", () => {
  assert.equal(show("tun1"), "tun1");
  assert.equal(show(""), '""');
  assert.equal(show('a "b"'), '"a \\"b\\""');
  assert.equal(show("\x1b[31mred\n"), '"\\u001b[31mred\\n"');
  assert.equal(show("a\u202eb\x9bc"), '"a\\u{202e}b\\u{9b}c"');
  assert.equal(show("x".repeat(61)), `"${"x".repeat(60)}…"`);
});
