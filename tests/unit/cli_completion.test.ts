import assert from "node:assert/strict";
import { completion } from "../../src/cli/completion.ts";
import { ConfigError } from "../../src/errors.ts";

/** What bash is offered, names of files aside. */
function offers(...line: string[]): string[] {
  return completion(["bash", ...line]).split("\n").filter((each) =>
    each !== "" && !each.startsWith("__FILE__")
  );
}

Deno.test("a script for each shell", () => {
  assert.match(completion(["bash"]), /onion 'completion' 'bash'/);
  assert.match(completion(["zsh"]), /onion 'completion' 'zsh'/);
  assert.match(completion(["fish"]), /onion 'completion' 'fish'/);
});

Deno.test("the first word may be a command, an option or a file", () => {
  assert.deepEqual(offers(""), ["lab", "doctor", "down", "completion", "man", "--help", "--version"]);
  assert.deepEqual(offers("d"), ["doctor", "down"]);
  assert.deepEqual(offers("--log"), ["--log-dir", "--log-level"]);
  assert.match(completion(["bash", "x"]), /^__FILE__:file:/);
});

Deno.test("values are offered where they are few", () => {
  assert.deepEqual(offers("--stage", ""), ["1", "2", "3", "4", "5", "6"]);
  assert.deepEqual(offers("--json", "--log-level", "d"), ["debug"]);
  assert.match(completion(["bash", "--log-dir", ""]), /^__FILE__:directory:/);
});

Deno.test("a command offers its own", () => {
  assert.deepEqual(offers("completion", ""), ["bash", "zsh", "fish"]);
  assert.deepEqual(offers("completion", "bash", ""), []);
  assert.deepEqual(offers("down", "-"), []);
  assert.deepEqual(offers("doctor", "--"), ["--json"]);
  assert.deepEqual(offers("lab", ""), ["up", "exec", "demo", "down"]);
  assert.deepEqual(offers("lab", "up", "--"), ["--loss", "--dead-router", "--small-mtu"]);
  assert.deepEqual(offers("lab", "exec", "-n", "gw"), ["gw0", "gw1", "gw2", "gw3", "gw4", "gw5", "gw6"]);
  assert.deepEqual(offers("lab", "demo", "--stage", "2"), ["2"]);
  assert.deepEqual(offers("lab", "down", "-"), []);
  assert.deepEqual(offers("lab", "sideways", "-"), []);
});

Deno.test("an unknown shell", () => {
  const remedy = "write onion completion bash|zsh|fish";
  assert.throws(() => completion([]), new ConfigError("completion needs the name of a shell", remedy));
  assert.throws(() => completion(["tcsh"]), new ConfigError("no completion for tcsh", remedy));
});
