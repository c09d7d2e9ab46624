import assert from "node:assert/strict";
import { allCommands, commandLine, helpText, MANUAL, pageText, usageText } from "../../src/cli/help.ts";
import { manPage } from "../../src/cli/man.ts";
import { optionsOf } from "../../src/cli/parse.ts";
import { COMMANDS, findCommand, RUN } from "../../src/cli/words.ts";
import { FLAGS } from "../../src/config/options.ts";
import { STAGES } from "../../src/config/stages.ts";

Deno.test("help: lists every option, default, stage and command", () => {
  const help = helpText();
  for (const { flag, metavar, default: value } of optionsOf(RUN)) {
    assert.ok(help.includes(`\n  ${flag}${metavar === undefined ? "" : ` ${metavar}`}  `), flag);
    if (metavar !== undefined && typeof value === "string") assert.ok(help.includes(`[${value}]`), flag);
  }
  for (const { number, shows } of STAGES) assert.ok(help.includes(`  ${number}  ${shows}`));
  for (const [word, { help: shown }] of Object.entries(COMMANDS)) {
    assert.equal(help.includes(`  onion ${word}`), shown !== undefined, word);
  }
});

Deno.test("help: aligns options and their explanations in columns", () => {
  assert.match(
    helpText(),
    /\n {2}--json +print events as JSON lines on stdout\n/,
  );
  assert.match(
    helpText(),
    /\n {2}--address CIDR {14}address of the TUN interface, with the block\n {30}behind it \[10/,
  );
});

Deno.test("help: describes a default that depends on the host", () => {
  for (const name of ["from", "exit"] as const) {
    assert.equal(FLAGS[name].default, undefined);
    assert.match(FLAGS[name].help, /; unless given, .*default route's interface$/);
  }
});

Deno.test("help: lists the environment variables", () => {
  const rows = MANUAL.Environment?.map(([name]) => name);
  assert.deepEqual(rows, ["NO_COLOR", "ONION_CACHE_DIR"]);
});

Deno.test("help: shows only config file words of this version", () => {
  const rows = MANUAL["Config file"];
  assert.deepEqual(rows?.slice(0, -1), [
    ["stage N", "as --stage"],
    ["num_routers N", "as --routers"],
    ["minitor_hops H", "as --hops"],
  ]);
});

Deno.test("help: fits a terminal of 80 columns", () => {
  const pages = [helpText(), usageText(), ...allCommands().map(pageText)];
  for (const line of pages.join("\n").split("\n")) assert.ok(line.length <= 80, line);
});

Deno.test("help: prints a page for each command", () => {
  for (const named of allCommands()) {
    const { name, row } = named;
    const page = pageText(named);
    assert.ok(
      page.replace(/\s+/g, " ").startsWith(`${name} - ${row.help} Usage: ${commandLine(name, row)}`),
      page,
    );
    for (const { flag, metavar } of optionsOf(row)) {
      assert.match(
        page,
        new RegExp(`\n  (-., )?${flag}${metavar === undefined ? "" : ` ${metavar}`}  `),
        name,
      );
    }
    assert.equal(page.includes("\nCommands:\n"), row.commands !== undefined, name);
    for (const word of Object.keys(row.commands ?? {})) assert.ok(page.includes(`\n  ${name} ${word}`), word);
  }
});

Deno.test("help: prints no empty sections", () => {
  const named = findCommand(["down"]);
  assert.equal(
    pageText(named),
    "onion down - undo what dead runs left on this host\n\nUsage:\n  onion down",
  );
});

Deno.test("man page: holds the same as the help, in man(7) macros", () => {
  const page = manPage();
  assert.match(page, /^\.TH ONION 1 "" "onion 0\.1\.0"\n\.SH NAME\nonion \\- an onion router/);
  assert.ok(page.includes("\n.TP\n.B \\-\\-log\\-dir DIR\ndirectory of the log files, stageN.proxy.out"));
  assert.ok(page.includes("\n.SS onion lab exec [\\-n PARTY] [\\-\\-] COMMAND...\n"));
  assert.ok(page.includes("\n.B \\-n, \\-\\-namespace PARTY\nrun it in another party"));
  for (const { name } of allCommands()) assert.ok(page.includes(`\n.SS ${name}`), name);
  for (const title of Object.keys(MANUAL).slice(1)) {
    assert.ok(page.includes(`\n.SH ${title.toUpperCase()}\n`));
  }
  // roff would drop a text that begins like a request.
  for (const line of page.split("\n")) assert.match(line, /^(\.(TH|SH|SS|PP|TP|B) ?|[^.'])/);
});
