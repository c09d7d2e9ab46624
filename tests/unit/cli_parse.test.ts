import assert from "node:assert/strict";
import fc from "fast-check";
import { optionsOf, parseWords } from "../../src/cli/parse.ts";
import { findCommand, RUN } from "../../src/cli/words.ts";
import { ConfigError } from "../../src/errors.ts";

/** The values of the options as text, and the operands. */
function parse(...argv: string[]): [options: Record<string, string>, operands: readonly string[]] {
  const { options, operands, fault } = parseWords(findCommand(argv));
  if (fault !== undefined) throw fault;
  return [Object.fromEntries(Object.entries(options).map(([name, given]) => [name, given.text])), operands];
}

function refuses(argv: string[], message: string): void {
  assert.throws(() => parse(...argv), { name: "ConfigError", message });
}

Deno.test("parser: takes a value from the next word, or after =", () => {
  assert.deepEqual(parse("--stage", "2", "--log-dir=/tmp"), [{ stage: "2", logDir: "/tmp" }, []]);
  assert.deepEqual(parse("--log-dir="), [{ logDir: "" }, []]);
  assert.deepEqual(parse("--log-dir=a=b"), [{ logDir: "a=b" }, []]);
  assert.deepEqual(parse("--log-dir=a\n=b"), [{ logDir: "a\n=b" }, []]);
});

Deno.test("parser: takes any next word as the value, even one that looks like an option", () => {
  assert.deepEqual(parse("--log-dir", "--json"), [{ logDir: "--json" }, []]);
  assert.deepEqual(parse("--log-dir", "--", "--json"), [{ logDir: "--", json: "yes" }, []]);
});

Deno.test("parser: refuses a word of a million letters without comparing it to every option", () => {
  const long = "x".repeat(1_000_000);
  refuses([`--${long}`], `unknown option "--${"x".repeat(58)}…"`);
});

Deno.test("parser: accepts a short option", () => {
  assert.deepEqual(parse("lab", "exec", "-n", "gw1", "true"), [{ namespace: "gw1" }, ["true"]]);
  assert.deepEqual(parse("lab", "exec", "-n=gw1", "true"), [{ namespace: "gw1" }, ["true"]]);
  refuses(["-s", "2"], "unknown option -s");
});

Deno.test("parser: gives a switch the value yes, and accepts no other", () => {
  assert.deepEqual(parse("--json"), [{ json: "yes" }, []]);
  refuses(["--json=no"], "--json takes no value, but got no");
});

Deno.test("parser: takes options and an operand in any order", () => {
  assert.deepEqual(parse("lab.conf", "--json"), [{ json: "yes" }, ["lab.conf"]]);
  assert.deepEqual(parse("--json", "lab.conf"), [{ json: "yes" }, ["lab.conf"]]);
  assert.deepEqual(parse("-"), [{}, ["-"]]);
  refuses(["a", "--json", "b"], "unexpected argument b");
});

Deno.test("parser: takes everything after -- as operands", () => {
  assert.deepEqual(parse("--json", "--", "--stage"), [{ json: "yes" }, ["--stage"]]);
  refuses(["a", "--", "--stage"], "unexpected argument --stage");
  refuses(["down", "--", "now"], "unexpected argument now");
});

Deno.test("parser: ends the options of a command that runs another one at its first operand", () => {
  assert.deepEqual(parse("lab", "exec", "ping", "-n", "--help"), [{}, ["ping", "-n", "--help"]]);
  assert.deepEqual(parse("lab", "exec", "--", "--", "x"), [{}, ["--", "x"]]);
  refuses(["lab", "exec", "--bogus", "ping"], "unknown option --bogus");
});

Deno.test("parser: refuses an option that is given twice, however it is written", () => {
  refuses(["--stage", "1", "--stage=1"], "--stage is given twice");
  refuses(["lab", "exec", "-n", "gw1", "--namespace=gw1", "true"], "--namespace is given twice");
});

Deno.test("parser: names an option without its value", () => {
  refuses(["--json", "--stage"], "--stage needs a value");
  assert.equal(parseWords(findCommand(["--json", "--stage"])).lacking?.flag, "--stage");
  assert.equal(parseWords(findCommand(["--stage", "2"])).lacking, undefined);
});

Deno.test("parser: reads back any values in any order", () => {
  const line = fc.shuffledSubarray(optionsOf(RUN)).chain((chosen) =>
    fc.tuple(
      ...chosen.map(({ name, flag, metavar }) =>
        metavar === undefined
          ? fc.constant({ name, text: "yes", words: [flag] })
          : fc.tuple(fc.string(), fc.boolean()).map(([text, joined]) => ({
            name,
            text,
            words: joined ? [`${flag}=${text}`] : [flag, text],
          }))
      ),
    )
  );
  fc.assert(fc.property(line, fc.string(), (given, file) => {
    const options = Object.fromEntries(given.map(({ name, text }) => [name, text]));
    assert.deepEqual(parse(...given.flatMap(({ words }) => words), "--", file), [options, [file]]);
  }));
});

Deno.test("parser: accepts any words, or throws a ConfigError", () => {
  fc.assert(fc.property(fc.array(fc.string({ unit: "binary" })), (argv) => {
    try {
      parse(...argv);
    } catch (error) {
      assert.ok(error instanceof ConfigError, `${error}`);
    }
  }));
});
