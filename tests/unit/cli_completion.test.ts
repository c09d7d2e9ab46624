import assert from "node:assert/strict";
import { completion } from "../../src/cli/completion.ts";
import { ConfigError } from "../../src/errors.ts";

/** The words that bash gets, without path names. */
function offers(...line: string[]): string[] {
  return completion(["bash", ...line]).split("\n").filter((each) =>
    each !== "" && !each.startsWith("__FILE__")
  );
}

const bash = new Deno.Command("bash", { args: ["-c", "exit"] }).output().then(() => true, () => false);

Deno.test({
  name: "completion: bash completes words, values after = and path names",
  ignore: !await bash,
  async fn() {
    const directory = await Deno.makeTempDir();
    try {
      await Deno.mkdir(`${directory}/a directory`);
      await Deno.writeTextFile(`${directory}/a file`, "");
      const main = new URL("../../main.ts", import.meta.url).pathname;
      /** The replies in bash for a line with the cursor at its last word. */
      const completed = async (...words: string[]) => {
        const script = `onion () { "$DENO" run -A --quiet "$MAIN" "$@"; }
          source <(onion completion bash)
          COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _onion
          for reply in "\${COMPREPLY[@]}"; do printf '<%s>\\n' "$reply"; done`;
        const { stdout, stderr } = await new Deno.Command("bash", {
          args: ["-c", script, "bash", "onion", ...words],
          cwd: directory,
          env: { DENO: Deno.execPath(), MAIN: main },
        }).output();
        assert.equal(new TextDecoder().decode(stderr), "");
        return [...new TextDecoder().decode(stdout).matchAll(/^<(.*)>$/gm)].map(([, reply]) => reply).sort();
      };
      assert.deepEqual(await completed("do"), ["doctor", "down"]);
      // readline splits --log-level=d into three words.
      assert.deepEqual(await completed("--stage", "=", "2", "--log-level", "=", "d"), ["debug"]);
      assert.deepEqual(await completed("--log-level", "="), ["debug", "error", "info", "off", "warning"]);
      assert.deepEqual(await completed("--log-dir", "a"), ["a directory"]);
      assert.deepEqual(await completed("--log-dir", "=", "a"), ["a directory"]);
      assert.deepEqual(await completed("a"), ["a directory", "a file"]);
      assert.deepEqual(await completed("down", "-"), []);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test("completion: offers values after =, and no option twice", () => {
  assert.deepEqual(offers("--log-level=d"), ["--log-level=debug"]);
  assert.equal(completion(["bash", "--log-dir="]), "__FILE__:directory:");
  assert.deepEqual(offers("--bogus="), []);
  assert.deepEqual(offers("--json", "--log-level", "off", "--log"), ["--log-dir"]);
  assert.deepEqual(offers("--log-level=off", "--log"), ["--log-dir"]);
});

Deno.test("completion: offers no options after --, or inside a lab command", () => {
  assert.deepEqual(offers("--", "--"), []);
  assert.deepEqual(offers("lab", "exec", "--", ""), []);
  assert.deepEqual(offers("lab", "exec", "ping", "-"), []);
});

Deno.test("completion: explains each word to zsh and fish", () => {
  for (const shell of ["zsh", "fish"]) {
    assert.equal(
      completion([shell, "dow"]).split("\n")[0],
      "down\tundo what dead runs left on this host",
    );
  }
});

Deno.test("completion: prints a script for each shell", () => {
  assert.match(completion(["bash"]), /onion 'completion' 'bash'/);
  assert.match(completion(["zsh"]), /onion 'completion' 'zsh'/);
  assert.match(completion(["fish"]), /onion 'completion' 'fish'/);
});

Deno.test("completion: offers commands, options and files as the first word", () => {
  assert.deepEqual(offers(""), ["lab", "doctor", "down", "completion", "man", "--help", "--version"]);
  assert.deepEqual(offers("d"), ["doctor", "down"]);
  assert.deepEqual(offers("--log"), ["--log-dir", "--log-level"]);
  assert.match(completion(["bash", "x"]), /^__FILE__:file:/);
});

Deno.test("completion: offers the values of an option that has few", () => {
  assert.deepEqual(offers("--stage", ""), ["1", "2", "3", "4", "5", "6"]);
  assert.deepEqual(offers("--json", "--log-level", "d"), ["debug"]);
  assert.match(completion(["bash", "--log-dir", ""]), /^__FILE__:directory:/);
});

Deno.test("completion: offers a command's own words", () => {
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

Deno.test("completion: refuses an unknown shell", () => {
  const remedy = "write onion completion bash|zsh|fish";
  assert.throws(() => completion([]), new ConfigError("onion completion needs the name of a shell", remedy));
  assert.throws(() => completion(["tcsh"]), new ConfigError("no completion for tcsh", remedy));
});
