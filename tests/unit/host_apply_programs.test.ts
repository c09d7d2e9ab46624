import { OperatorError } from "../../src/errors.ts";
import { ask, BatchError, execute, executeBatch, isInstalled } from "../../src/host/apply/programs.ts";
import assert from "node:assert/strict";

Deno.test("programs: execute returns what a command prints", async () => {
  assert.equal(await execute(["echo", "x", "y z"]), "x y z\n");
});

Deno.test("programs: the error of a command holds its own words", async () => {
  const remedy = "run it by hand to see why";
  const fails = (script: string, message: string) =>
    assert.rejects(execute(["sh", "-c", script]), new OperatorError(message, remedy));
  await fails(
    "echo first >&2; echo second >&2; exit 2",
    "`sh -c 'echo first >&2; echo second >&2; exit 2'` failed: first",
  );
  await fails("exit 3", "`sh -c 'exit 3'` failed: exit code 3");
});

Deno.test("programs: a missing program is named, with its package", async () => {
  await assert.rejects(
    execute(["onion-none"]),
    new OperatorError(
      "the program onion-none is missing",
      "install onion-none, e.g. `apt-get install onion-none`",
      4,
    ),
  );
});

Deno.test("programs: are found outside the user's PATH", async () => {
  const before = Deno.env.get("PATH")!;
  Deno.env.set("PATH", "/nowhere");
  try {
    assert.ok(isInstalled("sh"));
    assert.ok(!isInstalled("onion-none"));
    assert.equal(await execute(["echo", "x"]), "x\n");
  } finally {
    Deno.env.set("PATH", before);
  }
});

Deno.test("programs: execute uses a session of its own, which Ctrl+C does not reach", async () => {
  const sessionOf = (stat: string) => stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3];
  assert.notEqual(
    sessionOf(await execute(["cat", "/proc/self/stat"])),
    sessionOf(Deno.readTextFileSync("/proc/self/stat")),
  );
});

Deno.test("programs: a query that Ctrl+C ended is repeated", async () => {
  const directory = await Deno.makeTempDir();
  const path = Deno.env.get("PATH") ?? "";
  try {
    const script =
      `#!/bin/sh\n[ -s ${directory}/mark ] && exec cat; echo asked >${directory}/mark; kill -INT $$\n`;
    Deno.writeTextFileSync(`${directory}/ip`, script, { mode: 0o755 });
    Deno.env.set("PATH", `${directory}:${path}`);
    assert.equal(await ask([], [["ip", "rule", "show"], ["ip", "link"]]), "rule show\nlink\n");
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("programs: a batch names the command that failed, and how many succeeded", async () => {
  await executeBatch([]);
  await executeBatch([["ip", "link", "show", "lo"], ["ip", "address", "show", "lo"]]);
  await assert.rejects(
    executeBatch([["ip", "link", "show", "lo"], ["ip", "link", "show", "onion-none"], ["ip", "link"]]),
    new BatchError(
      new OperatorError(
        '`ip link show onion-none` failed: Device "onion-none" does not exist.',
        "run it by hand to see why",
      ),
      1,
    ),
  );
  await assert.rejects(
    executeBatch([["ip", "link", "show", "lo"], ["ip", "address", "add", "300.1.1.1/24", "dev", "lo"]]),
    (error) => error instanceof BatchError && error.done === undefined && /300\.1\.1\.1/.test(error.message),
    "`ip` quits at once if it cannot parse a command",
  );
  await assert.rejects(
    executeBatch([["ip", "link", "show", "onion-none"]]),
    (error) =>
      !(error instanceof BatchError) &&
      error instanceof OperatorError && error.message.startsWith("`ip link show onion-none` failed"),
  );
});

Deno.test("programs: several queries run in one `ip` process", async () => {
  const lines = (await ask(["-json"], [["ip", "link", "show", "lo"], ["ip", "address", "show", "lo"]]))
    .trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(([{ ifname }]) => ifname), ["lo", "lo"]);
  await assert.rejects(
    ask(["-json"], [["ip", "link", "show", "lo"], ["ip", "link", "show", "onion-none"]]),
    {
      message: '`ip -json link show onion-none` failed: Device "onion-none" does not exist.',
    },
  );
});
