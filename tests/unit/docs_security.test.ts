/**
 * A claim of docs/security.md is worth as much as the test that holds it: each test that it names is there.
 *
 * @module
 */
import assert from "node:assert/strict";

const DOCUMENT = Deno.readTextFileSync(new URL("../../docs/security.md", import.meta.url)).replace(
  /\s+/g,
  " ",
);

/** The text of a file of tests, with every name in one piece. */
function testsIn(file: string): string {
  return Deno.readTextFileSync(new URL(`../${file}.test.ts`, import.meta.url)).replace(/\s+/g, " ");
}

/** Files, and what the names of their tests begin with; a stage's number in front may be put there by a loop. */
const NAMED = /`((?:unit|memory|e2e)\/\w+)`: ((?:"[^"]+"(?:, )?)+)/g;

Deno.test("every test that docs/security.md names is there", () => {
  const missing: string[] = [];
  let count = 0;
  for (const [, file, names] of DOCUMENT.matchAll(NAMED)) {
    const text = testsIn(file!);
    for (const [, name] of names!.matchAll(/"([^"]+)"/g)) {
      count++;
      if (!text.includes(`"${name}`) && !text.includes("`stage ${stage}: " + name)) {
        missing.push(`${file}: "${name}"`);
      }
    }
  }
  assert.ok(count > 40, `${count} tests`);
  assert.deepEqual(missing, []);
});

Deno.test("claims are numbered without a gap, and each names its tests", () => {
  const claims = DOCUMENT.split(/(?=\*\*S\d+\.)/).slice(1).map((text) => text.split(" ## ")[0]!);
  claims.forEach((claim, index) => {
    assert.ok(claim.startsWith(`**S${index + 1}.`), claim);
    assert.match(claim, /`(?:unit|memory|e2e)\/\w+`: "|The same tests\./);
  });
});
