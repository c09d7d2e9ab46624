import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url);

/** The lines on stderr of a program with these statements. */
async function said(...lines: string[]): Promise<string[]> {
  const module = new URL("src/log/diagnostics.ts", ROOT).href;
  const text = [
    `import { diagnostics, diagnosticsWritten, setUpDiagnostics } from ${JSON.stringify(module)};`,
    `const log = diagnostics("proxy");`,
    ...lines,
  ].join("\n");
  const args = ["run", "--allow-all", "--quiet", "--config", new URL("deno.json", ROOT).pathname, "-"];
  const child = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "null", stderr: "piped" })
    .spawn();
  await new Response(text).body!.pipeTo(child.stdin);
  const { stderr } = await child.output();
  return new TextDecoder().decode(stderr).split("\n").slice(0, -1);
}

Deno.test("diagnostics: write messages in order, and all of them before the wait resolves", async () => {
  const lines = await said(
    `setUpDiagnostics("info");`,
    `log.info("first {n}", { n: 1 });`,
    `diagnostics("router 2").warn("second");`,
    `await diagnosticsWritten();`,
    `log.error("third");`,
    `Deno.exit();`,
  );
  assert.deepEqual(lines, [
    "onion proxy: info: first 1",
    "onion router 2: warning: second",
    "onion proxy: error: third",
  ]);
});

Deno.test("diagnostics: keep control characters of values off the terminal", async () => {
  const lines = await said(
    `setUpDiagnostics("info");`,
    `log.info("{n} {why}", { n: 1, why: "failed:\\n\\x1b[2J\\x9b\\u202e\\0gone" });`,
    `await diagnosticsWritten();`,
  );
  assert.deepEqual(lines, ["onion proxy: info: 1 failed: [2J gone"]);
});

Deno.test("diagnostics: drop messages below the level, and all before it is set", async () => {
  const lines = await said(
    `log.error("too early");`,
    `setUpDiagnostics("warning");`,
    `log.debug("no"); log.info("no"); log.warn("yes");`,
    `await diagnosticsWritten();`,
    `setUpDiagnostics("off");`,
    `log.error("no");`,
    `await diagnosticsWritten();`,
  );
  assert.deepEqual(lines, ["onion proxy: warning: yes"]);
});
