import assert from "node:assert/strict";
import { helpText, MANUAL, usageText } from "../../src/cli/help.ts";
import { manPage } from "../../src/cli/man.ts";
import { WORDS } from "../../src/cli/words.ts";
import { FLAGS } from "../../src/config/options.ts";
import { STAGES } from "../../src/config/stages.ts";

Deno.test("the help knows every option, every default, every stage and every command", () => {
  const help = helpText();
  for (const { flag, metavar, usual } of Object.values(FLAGS)) {
    assert.ok(help.includes(`\n  ${flag}${metavar === undefined ? "" : ` ${metavar}`}  `), flag);
    if (metavar !== undefined && typeof usual === "string") assert.ok(help.includes(`[${usual}]`), flag);
  }
  for (const { number, shows } of STAGES) assert.ok(help.includes(`  ${number}  ${shows}`));
  for (const [word, { help: shown }] of Object.entries<{ help?: string }>(WORDS)) {
    assert.equal(help.includes(`  onion ${word}`), shown !== undefined, word);
  }
});

Deno.test("options stand in a column, their explanations in the next", () => {
  assert.match(
    helpText(),
    /\n {2}--json +print events as JSON lines on stdout\n/,
  );
  assert.match(
    helpText(),
    /\n {2}--address CIDR {14}the address of the TUN interface, and the block\n {30}behind it \[10/,
  );
});

Deno.test("a default that depends on the host is told in words", () => {
  for (const name of ["from", "exit"] as const) {
    assert.equal(FLAGS[name].usual, undefined);
    assert.match(FLAGS[name].help, /; unless given, .*default route's interface$/);
  }
});

Deno.test("the environment that matters is told", () => {
  const rows = MANUAL.find(({ title }) => title === "Environment")?.rows.map(([name]) => name);
  assert.deepEqual(rows, ["NO_COLOR", "ONION_CACHE_DIR"]);
});

Deno.test("only what a config file of this version may say is shown", () => {
  const rows = MANUAL.find(({ title }) => title === "Config file")?.rows;
  assert.deepEqual(rows?.slice(0, -1), [
    ["stage N", "as --stage"],
    ["num_routers N", "as --routers"],
    ["minitor_hops H", "as --hops"],
  ]);
});

Deno.test("no line is wider than a terminal", () => {
  for (const line of `${helpText()}\n${usageText()}`.split("\n")) assert.ok(line.length <= 80, line);
});

Deno.test("the man page holds the same, in man(7)", () => {
  const page = manPage();
  assert.match(page, /^\.TH ONION 1 "" "onion 0\.1\.0"\n\.SH NAME\nonion \\- an onion router/);
  assert.ok(page.includes("\n.TP\n.B \\-\\-log\\-dir DIR\nwhere stageN.proxy.out"));
  for (const { title } of MANUAL.slice(1)) assert.ok(page.includes(`\n.SH ${title.toUpperCase()}\n`));
  // A text that begins like a request would vanish.
  for (const line of page.split("\n")) assert.match(line, /^(\.(TH|SH|TP|B) ?|[^.'])/);
});
