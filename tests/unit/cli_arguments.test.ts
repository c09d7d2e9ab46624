import assert from "node:assert/strict";
import fc from "fast-check";
import { parseArguments } from "../../src/cli/arguments.ts";
import { allCommands, helpText, pageText } from "../../src/cli/help.ts";
import { optionsOf } from "../../src/cli/parse.ts";
import { RUN } from "../../src/cli/words.ts";
import { ConfigError } from "../../src/errors.ts";
import { STAGE_2_DEFAULTS } from "../support/settings.ts";

const words = (line: string) => line.split(" ").filter((word) => word !== "");

/** The settings of a command line. */
async function settings(...argv: string[]) {
  const command = await parseArguments(argv);
  assert.equal(command.kind, "run");
  return command.kind === "run" ? command.settings : assert.fail();
}

/** The text that a command line prints. */
async function printed(line: string): Promise<string> {
  const command = await parseArguments(words(line));
  assert.equal(command.kind, "print");
  return command.kind === "print" ? command.text : assert.fail();
}

async function refuses(argv: string | string[], message: string, remedy: string): Promise<void> {
  await assert.rejects(
    parseArguments(typeof argv === "string" ? words(argv) : argv),
    new ConfigError(message, remedy),
  );
}

Deno.test("arguments: turns flags into settings", async () => {
  assert.equal((await settings("--stage", "2")).stage.number, 2);
  assert.equal((await settings("--stage=2")).stage.number, 2);
  assert.equal((await settings("--stage", "2")).json, false);
  const all = await settings(
    ...words(
      "--json --log-level debug --log-dir=/ --address 10.9.0.1/16 --tun onion0 --hops 1 --routers 1 --stage 2",
    ),
  );
  assert.deepEqual(all, {
    ...STAGE_2_DEFAULTS,
    tun: "onion0",
    address: { address: 0x0a090001, prefix: 16 },
    logDir: "/",
    logLevel: "debug",
    json: true,
  });
});

Deno.test("arguments: reads the flags of a stage that captures", async () => {
  const { from, capture, table, priority, exit, printCommands } = await settings(
    ...words(
      "--stage 3 --from 10.0.2.15 --capture 18.0.0.0/8 --table 7 --priority 6 --exit eth3@10.0.3.1 --print-commands",
    ),
  );
  assert.deepEqual({ from, capture, table, priority, exit, printCommands }, {
    from: 0x0a00020f,
    capture: [{ address: 0x12000000, prefix: 8 }],
    table: 7,
    priority: 6,
    exit: [{ interface: "eth3", gateway: 0x0a000301 }],
    printCommands: true,
  });
});

Deno.test("arguments: lets flags override the config file, in any order", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, "stage 2\nnum_routers 1\n");
    assert.equal((await settings(file)).stage.number, 2);
    assert.equal((await settings(file, "--stage", "1")).stage.number, 1);
    assert.equal((await settings("--stage", "1", file)).stage.number, 1);
    assert.equal((await settings("--json", "--", file)).json, true);
    await Deno.writeTextFile(file, "stage 12");
    await refuses([file], `${file}:1: there is no stage 12`, "stages go from 1 to 9");
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("arguments: recognises each command", async () => {
  assert.deepEqual(await parseArguments(["down"]), { kind: "down" });
  assert.deepEqual(await parseArguments(["doctor"]), { kind: "doctor", json: false });
  assert.deepEqual(await parseArguments(["doctor", "--json"]), { kind: "doctor", json: true });
  assert.match(await printed("man"), /^\.TH ONION 1 /);
  assert.match(await printed("completion bash"), /^function _onion /);
});

Deno.test("arguments: puts --help and --version before everything else", async () => {
  for (
    const line of [
      "--help",
      "-h",
      "help",
      "help --bogus",
      "--stage 2 --help",
      "--bogus --help",
      "lab.conf -h",
    ]
  ) {
    assert.equal(await printed(line), helpText());
  }
  for (const { name, row } of allCommands()) {
    const words = name.replace(/^onion /, "");
    for (const line of [`${words} --help`, `${words} --bogus -h`, `help ${words}`]) {
      assert.equal(await printed(line), pageText({ name, row, words: [] }), line);
    }
  }
  for (const line of ["--version", "-V", "--stage 12 --version"]) {
    assert.equal(await printed(line), `onion 0.1.0 (Deno ${Deno.version.deno}, source)`);
  }
  await refuses("-- --help", "there is no file --help", "name a config file, or see onion --help");
});

Deno.test("arguments: answers an empty command line with the usage", async () => {
  const command = await parseArguments([]);
  assert.equal(command.kind, "usage");
  assert.match(
    command.kind === "usage" ? command.text : "",
    /^Usage:\n {2}onion --stage N .*See onion --help/s,
  );
});

Deno.test("arguments: names an unexpected word, and the remedy", async () => {
  const help = "see onion --help";
  const twice = "remove one of the two";
  await refuses("--bogus", "unknown option --bogus", help);
  await refuses("--stag 2", "unknown option --stag", `did you mean --stage? ${help}`);
  await refuses("--stag=2", "unknown option --stag", `did you mean --stage? ${help}`);
  await refuses(
    "--stage 2 --loglevel debug",
    "unknown option --loglevel",
    `did you mean --log-level? ${help}`,
  );
  await refuses("--addr 10.0.0.1/8", "unknown option --addr", `did you mean --address? ${help}`);
  await refuses("--hepl", "unknown option --hepl", `did you mean --help? ${help}`);
  await refuses("-x", "unknown option -x", help);
  await refuses("--stage", "--stage needs a value", "write --stage N");
  await refuses("--stage 2 --log-dir", "--log-dir needs a value", "write --log-dir DIR");
  await refuses("--stage 1 --stage 2", "--stage is given twice", twice);
  await refuses("--json --stage 2 --json", "--json is given twice", twice);
  await refuses("--stage 2 --json=yes", "--json takes no value, but got yes", "write --json alone");
  await refuses("-", "there is no file -", "name a config file, or see onion --help");
  await refuses("--help=2", "unknown option --help", help);
  await refuses("a b", "unexpected argument b", help);
  await refuses("down now", "unexpected argument now", "see onion down --help");
  await refuses("down --stage 2", "unknown option --stage", "see onion down --help");
  await refuses("doctor 3", "unexpected argument 3", "see onion doctor --help");
  await refuses("doctor --stage 3", "unknown option --stage", "see onion doctor --help");
  await refuses("doctor --jsn", "unknown option --jsn", `did you mean --json? see onion doctor --help`);
  await refuses("man 1", "unexpected argument 1", "see onion man --help");
  await refuses("--stage --json", "there is no stage --json", "stages go from 1 to 9");
  await refuses(
    "--json",
    "no stage is given",
    "choose one with --stage N; there are stages 1, 2, 3, 4, 5 and 6",
  );
});

Deno.test("arguments: suggests a command in place of a config file that does not exist", async () => {
  await refuses("dwon", "there is no file dwon", "did you mean onion down?");
  await refuses("docter", "there is no file docter", "did you mean onion doctor?");
  await refuses("compltion bash", "unexpected argument bash", "see onion --help");
  await refuses("2", "there is no file 2", "to run a stage, write onion --stage 2");
  await refuses("/none", "there is no file /none", "name a config file, or see onion --help");
  await refuses("/dev/null/x", "there is no file /dev/null/x", "name a config file, or see onion --help");
  await refuses([""], 'there is no file ""', "name a config file, or see onion --help");
});

Deno.test("arguments: checks the log directory before anything starts", async () => {
  const missing = "--log-dir /none: no such directory";
  await refuses("--stage 1 --log-dir /none", missing, "create it, or choose another");
  await refuses(
    "--stage 1 --log-dir /dev/null",
    "--log-dir /dev/null: not a directory",
    "create it, or choose another",
  );
  await refuses(
    "--stage 1 --log-dir /dev/null/x",
    "--log-dir /dev/null/x: no such directory",
    "create it, or choose another",
  );
});

Deno.test("arguments: accepts any words, or throws a ConfigError", async () => {
  const everything = [{ name: "onion", row: RUN, words: [] }, ...allCommands()];
  const flags = everything.flatMap(({ row }) => optionsOf(row))
    .flatMap(({ flag, short }) => short === undefined ? [flag] : [flag, short]);
  const names = everything.map(({ name }) => name.split(" ").slice(1));
  const word = fc.oneof(
    fc.constantFrom(
      "--",
      "-",
      "=",
      "--=",
      "-x",
      "1",
      "2",
      "6",
      "100",
      "yes",
      ".",
      "gw1",
      "help",
      "--help",
      "-V",
    ),
    fc.constantFrom(...flags),
    fc.tuple(fc.constantFrom(...flags), fc.string({ unit: "binary" })).map(([flag, value]) =>
      `${flag}=${value}`
    ),
    fc.string({ unit: "binary" }),
  );
  const argv = fc.tuple(fc.constantFrom(...names), fc.array(word, { maxLength: 6 })).map((parts) =>
    parts.flat()
  );
  await fc.assert(
    fc.asyncProperty(argv, async (argv) => {
      const outcome = await parseArguments(argv).catch((error) => error);
      assert.ok(outcome instanceof ConfigError || typeof outcome.kind === "string", `${outcome}`);
    }),
    { numRuns: 3000 },
  );
});
