import assert from "node:assert/strict";

const { Segmenter } = Intl;
const { formatMessage, text } = await import("../../src/cli/optique.ts");

Deno.test("optique loads without a segmenter, counts with one, and everybody else has the usual ones", () => {
  assert.equal(Intl.Segmenter, Segmenter);
  // Each of the four is two columns wide, so that only two and a blank stand in a line of five.
  const wrapped = formatMessage([text("北京 上海")], { quotes: false, maxWidth: 5 });
  assert.deepEqual(wrapped.split("\n").map((line) => line.trim()), ["北京", "上海"]);
});
