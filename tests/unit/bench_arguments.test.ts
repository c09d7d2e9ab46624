import assert from "node:assert/strict";
import { parseArguments } from "../../bench/arguments.ts";
import { NAMES, PEER_NAMES } from "../../bench/roster.ts";
import { ConfigError } from "../../src/errors.ts";

Deno.test("bench arguments: defaults to five rounds of all contenders", () => {
  assert.deepEqual(parseArguments([]), {
    help: false,
    rounds: 5,
    quick: false,
    json: false,
    build: true,
    peers: false,
    growth: false,
  });
});

Deno.test("bench arguments: parses every option", () => {
  const args = [
    "--only",
    "stage2",
    "--only",
    "tor",
    "--quick",
    "--peers",
    "--growth",
    "--markdown",
    "page.md",
  ];
  assert.deepEqual(parseArguments([...args, "--against", "main~1", "--no-build", "--json"]), {
    help: false,
    rounds: 1,
    quick: true,
    json: true,
    build: false,
    peers: true,
    growth: true,
    only: ["stage2", "tor"],
    against: "main~1",
    markdown: "page.md",
  });
});

Deno.test("bench arguments: rejects invalid values and names them", () => {
  const cases: [args: string[], message: RegExp][] = [
    [["--only", "stage99"], /--only stage99: no such contender/],
    [["--rounds", "0"], /--rounds 0: not a number of rounds/],
    [["--rounds", "many"], /--rounds many/],
    [["--fast"], /--fast/],
    [["stage2"], /stage2/],
  ];
  for (const [args, message] of cases) {
    assert.throws(
      () => parseArguments(args),
      (error) => error instanceof ConfigError && message.test(error.message),
    );
  }
});

Deno.test("roster: names are unique and valid in namespace names", () => {
  assert.equal(new Set(NAMES).size, NAMES.length);
  for (const name of NAMES) assert.match(name, /^[a-z0-9_]+$/);
  assert.ok(PEER_NAMES.every((name) => NAMES.includes(name)));
});
