import assert from "node:assert/strict";
import fc from "fast-check";
import { parseConfigFile, readConfigFile } from "../../src/config/file.ts";
import { validate } from "../../src/config/validate.ts";
import { ConfigError } from "../../src/errors.ts";

/** The values of the raw options as text. */
function texts(file: string): Record<string, string> {
  const raw = parseConfigFile(file, "lab.conf");
  return Object.fromEntries(Object.entries(raw).map(([name, given]) => [name, given.text]));
}

function refuses(file: string, message: string, remedy: string): void {
  assert.throws(() => parseConfigFile(file, "lab.conf"), new ConfigError(message, remedy));
}

Deno.test("config file: reads the classic form", () => {
  assert.deepEqual(texts("#This is a comment line, should be ignored\nstage 2\nnum_routers 1\n"), {
    stage: "2",
    routers: "1",
  });
  assert.deepEqual(texts("stage 5\nnum_routers 4\nminitor_hops 3\n"), {
    stage: "5",
    routers: "4",
    hops: "3",
  });
  assert.deepEqual(texts("stage 9\nnum_routers 4\nminitor_hops 3\ndie_after 5\n"), {
    stage: "9",
    routers: "4",
    hops: "3",
  });
});

Deno.test("config file: accepts any white space, Windows line ends and a byte order mark", () => {
  const expected = { stage: "2", routers: "1" };
  assert.deepEqual(texts("\n  stage\t \t2  \n\n \t \n  # num_routers 4\nnum_routers\u00a01"), expected);
  assert.deepEqual(texts("# x\r\nstage 2\r\nnum_routers 1\r\n"), expected);
  assert.deepEqual(texts("\ufeffstage 2\nnum_routers 1"), expected);
  assert.deepEqual(texts("num_routers 1\nstage 2\n"), expected, "in any order");
});

Deno.test("config file: names file, line and reason of an error", () => {
  const words = "a line begins with #, stage, num_routers, minitor_hops or die_after";
  const twoFields = "a line is a word and a number; a comment needs its own line";
  refuses("stage 2\n\nrouters 1\n", "lab.conf:3: unknown word routers", words);
  refuses("Stage 2\n", "lab.conf:1: unknown word Stage", words);
  refuses("stage=2\n", "lab.conf:1: unknown word stage=2", words);
  refuses("constructor 2\n", "lab.conf:1: unknown word constructor", words);
  refuses("stage\n", "lab.conf:1: stage has no value", "write stage and a number");
  refuses("stage 2 # echo\n", 'lab.conf:1: stage 2 is followed by "# echo"', twoFields);
  refuses("stage 2\nnum_routers 1 1\n", "lab.conf:2: num_routers 1 is followed by 1", twoFields);
  refuses("stage 2\nstage 1\n", "lab.conf:2: stage is already in line 1", "remove one of the two lines");
  refuses("", "lab.conf: no line sets the stage", "add a line like: stage 2");
  refuses("num_routers 1\n", "lab.conf: no line sets the stage", "add a line like: stage 2");
  refuses(
    "# x\nminitor_hops 1\nstage 2\n",
    "lab.conf:2: minitor_hops is for stages 5 to 9, but line 3 says stage 2",
    "remove this line",
  );
  refuses(
    "stage 8\ndie_after 3\n",
    "lab.conf:2: die_after is for stage 9, but line 1 says stage 8",
    "remove this line",
  );
});

Deno.test("config file: names file and line of an invalid value", () => {
  const judge = (file: string) => () => validate(parseConfigFile(file, "lab.conf"));
  assert.throws(
    judge("stage 12"),
    new ConfigError("lab.conf:1: there is no stage 12", "stages go from 1 to 9"),
  );
  assert.throws(
    judge("stage 7\nminitor_hops x"),
    new ConfigError("lab.conf:1: stage 7 is not in this version", "it runs stages 1, 2, 3, 4, 5 and 6"),
  );
  assert.throws(
    judge("stage 5\nminitor_hops x"),
    new ConfigError(
      "lab.conf:2: minitor_hops x: stage 5 with 4 routers has 1 to 3 hops",
      "choose a number from 1 to 3",
    ),
  );
  assert.throws(
    judge("stage 2\n\nnum_routers 2"),
    new ConfigError(
      "lab.conf:3: num_routers 2: stage 2 has exactly 1 router",
      "leave it out, or write num_routers 1",
    ),
  );
});

Deno.test("config file: checks hops against routers, in any order of lines", () => {
  const settings = (file: string) => validate(parseConfigFile(file, "lab.conf"));
  const { stage, routers, hops } = settings("minitor_hops 4\nnum_routers 5\nstage 6\n");
  assert.deepEqual([stage.number, routers, hops], [6, 5, 4]);
  assert.equal(settings("stage 5\nnum_routers 2\n").hops, 1);
  assert.throws(
    () => settings("minitor_hops 4\nnum_routers 4\nstage 5\n"),
    new ConfigError(
      "lab.conf:1: minitor_hops 4: stage 5 with 4 routers has 1 to 3 hops",
      "choose a number from 1 to 3",
    ),
  );
  assert.throws(
    () => settings("stage 4\nnum_routers 4\nminitor_hops 1\n"),
    new ConfigError(
      "lab.conf:3: minitor_hops is for stages 5 to 9, but line 1 says stage 4",
      "remove this line",
    ),
  );
});

Deno.test("config file: accepts any text, or throws a ConfigError with file and line", () => {
  const field = fc.oneof(
    fc.constantFrom("stage", "num_routers", "minitor_hops", "die_after", "#", "1", "2", "5", "9", "12"),
    fc.string({ unit: "binary", maxLength: 8 }),
  );
  const line = fc.array(field, { maxLength: 4 }).map((fields) => fields.join(" "));
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.array(line).map((lines) => lines.join("\n")));
  fc.assert(
    fc.property(text, (text) => {
      try {
        validate(parseConfigFile(text, "lab.conf"));
      } catch (error) {
        assert.ok(error instanceof ConfigError, `${error}`);
        assert.match(error.message, /^lab\.conf(:\d+: |: no line sets the stage$)/);
        assert.doesNotMatch(error.message, /[\p{Cc}\p{Cf}]/u);
        assert.notEqual(error.remedy, "");
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("config file: reads back options in any layout", () => {
  const blank = fc.string({ unit: fc.constantFrom(" ", "\t"), minLength: 1, maxLength: 3 });
  const noise = fc.constantFrom("", "\n", "# num_routers 6\n", " \t\n", "\r\n");
  const options = fc.record({
    stage: fc.integer({ min: 5, max: 9 }),
    num_routers: fc.nat(),
    minitor_hops: fc.nat(),
  }, { requiredKeys: ["stage"] });
  fc.assert(
    fc.property(options, blank, noise, fc.constantFrom("\n", "\r\n"), (options, blank, noise, end) => {
      const lines = Object.entries(options).map(([word, number]) =>
        `${noise}${blank}${word}${blank}${number}${blank}`
      );
      const { stage, num_routers, minitor_hops } = options;
      const expected = { stage, routers: num_routers, hops: minitor_hops };
      const written = Object.entries(expected).filter(([, value]) => value !== undefined);
      assert.deepEqual(
        texts(lines.join(end)),
        Object.fromEntries(written.map(([name, value]) => [name, `${value}`])),
      );
    }),
  );
});

Deno.test("config file: refuses other files", async () => {
  const directory = await Deno.makeTempDir();
  const refusesFile = (path: string, message: string, remedy: string) =>
    assert.rejects(readConfigFile(path, "try another"), new ConfigError(message, remedy));
  try {
    const path = `${directory}/c`;
    await Deno.writeTextFile(path, "stage 2");
    assert.equal((await readConfigFile(path, "")).stage?.text, "2");

    await refusesFile(`${directory}/none`, `there is no file ${directory}/none`, "try another");
    await refusesFile(directory, `${directory} is a directory`, "name a config file");
    await Deno.writeFile(path, new Uint8Array([0x73, 0, 0x74]));
    await refusesFile(path, `${path} is not a text file`, "name a config file");
    await Deno.writeFile(path, new Uint8Array([0xff, 0xfe]));
    await refusesFile(path, `${path} is not a text file`, "name a config file");
    await refusesFile(
      "/dev/zero",
      "/dev/zero is larger than the 64 KiB that a config file may have",
      "name a config file",
    );
    const long = "x".repeat(300);
    const cut = `"${"x".repeat(60)}…"`;
    await refusesFile(long, `cannot read ${cut}: File name too long (os error 36)`, "name a config file");
    // Reading memory at address 0 fails with EIO, even for root.
    await assert.rejects(
      readConfigFile("/proc/self/mem", ""),
      (error) => error instanceof ConfigError && error.message.startsWith("cannot read /proc/self/mem: "),
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
