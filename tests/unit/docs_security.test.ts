/**
 * A claim of docs/security.md is worth as much as its tests, so each test that it names must exist.
 *
 * @module
 */
import assert from "node:assert/strict";

const DOCUMENT = Deno.readTextFileSync(new URL("../../docs/security.md", import.meta.url)).replace(
  /\s+/g,
  " ",
);

/** The text of a test file, with every name on one line. */
function testsIn(file: string): string {
  return Deno.readTextFileSync(new URL(`../${file}.test.ts`, import.meta.url)).replace(/\s+/g, " ");
}

/** Test files, and the beginnings of test names. A loop may put a stage's number in front. */
const NAMED = /`((?:unit|memory|e2e)\/\w+)`: ((?:"[^"]+"(?:, )?)+)/g;

Deno.test("security.md: every named test exists", () => {
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

Deno.test("security.md: claims are numbered without a gap and name tests", () => {
  const claims = DOCUMENT.split(/(?=\*\*S\d+\.)/).slice(1).map((text) => text.split(" ## ")[0]!);
  claims.forEach((claim, index) => {
    assert.ok(claim.startsWith(`**S${index + 1}.`), claim);
    assert.match(claim, /`(?:unit|memory|e2e)\/\w+`: "|The same tests\./);
  });
});
