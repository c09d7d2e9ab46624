import assert from "node:assert/strict";
import { building, buildingSentences, contentsOf } from "../../src/lab/building.ts";
import { passages } from "../../src/lab/passages.ts";
import { Captures } from "../support/captures.ts";

function build(circuits: "plain" | "sealed", ...path: number[]) {
  const captures = new Captures(circuits, path);
  captures.build();
  return building(passages(captures.items()));
}

/** Steps as `proxy→router 1 create: contents`. */
function lines(steps: ReturnType<typeof build>): string[] {
  return steps.map((step) =>
    `${step.passage.from}→${step.passage.to} ${step.does}: ${contentsOf(step).join(" ")}`
  );
}

Deno.test("lab building: plain cells name the router to extend to", () => {
  assert.deepEqual(lines(build("plain", 2, 1)), [
    "proxy→router 2 create: create a circuit here",
    "router 2→proxy created: the circuit is created",
    "proxy→router 2 extend: extend to router 1, at 127.0.0.1:5001",
    "router 2→router 1 create: create a circuit here",
    "router 1→router 2 created: the circuit is created",
    "router 2→proxy extended: router 1 is reached",
  ]);
});

Deno.test("lab building: sealed cells have a layer for each router on the way", () => {
  assert.deepEqual(lines(build("sealed", 3, 1, 2)), [
    "proxy→router 3 create: 48 bytes: a handshake with router 3",
    "router 3→proxy created: 48 bytes: router 3's answer",
    "proxy→router 3 extend: sealed in 1 layer for router 3: extend to router 1, with a handshake for it",
    "router 3→router 1 create: 48 bytes: a handshake with router 1",
    "router 1→router 3 created: 48 bytes: router 1's answer",
    "router 3→proxy extended: sealed in 1 layer for the proxy: router 1's answer to the handshake",
    "proxy→router 3 extend: sealed in 2 layers for router 1: extend to router 2, with a handshake for it",
    "router 3→router 1 extend: sealed in 1 layer for router 1: extend to router 2, with a handshake for it",
    "router 1→router 2 create: 48 bytes: a handshake with router 2",
    "router 2→router 1 created: 48 bytes: router 2's answer",
    "router 1→router 3 extended: sealed in 1 layer for the proxy: router 2's answer to the handshake",
    "router 3→proxy extended: sealed in 2 layers for the proxy: router 2's answer to the handshake",
  ]);
});

Deno.test("lab building: layers match the sizes of the cells", () => {
  for (const { does, layers, cell } of build("sealed", 1, 2, 3, 4, 5)) {
    if (does === "extend") assert.equal(cell.body.length, 6 + 48 + 24 * layers);
    if (does === "extended") assert.equal(cell.body.length, 48 + 24 * layers);
  }
});

Deno.test("lab building: a second attempt takes another path", () => {
  const captures = new Captures("sealed", [1, 2]);
  captures.build();
  const steps = building(passages(captures.items()));
  const again = building([
    // The first attempt ends with the extend to the second router.
    ...steps.slice(0, 3).map(({ passage }) => passage),
    ...passages(rebuilt().items()),
  ]);
  assert.deepEqual(again.filter(({ does }) => does === "create").map(({ path }) => path), [
    ["router 1"],
    ["router 3"],
    ["router 3", "router 4"],
  ]);
  assert.match(buildingSentences(again)[1]!, /^The proxy creates another circuit at router 3\. /);

  function rebuilt(): Captures {
    const other = new Captures("sealed", [3, 4]);
    other.build();
    return other;
  }
});

Deno.test("lab building: an extend without an answer", () => {
  const captures = new Captures("plain", [1, 2]);
  captures.build();
  const all = passages(captures.items());
  assert.deepEqual(
    lines(building(all.slice(0, 3))).at(-1),
    "proxy→router 1 extend: extend to ?, at 127.0.0.1:5002",
  );
});

Deno.test("lab building: one sentence for each router", () => {
  assert.deepEqual(buildingSentences(build("plain", 1, 2)), [
    "The proxy creates a circuit at router 1.",
    "Through router 1, the proxy extends the circuit to router 2.",
  ]);
  assert.deepEqual(buildingSentences(build("sealed", 3, 1, 2)), [
    "The proxy creates a circuit at router 3. A handshake gives the two of them keys that nobody else has.",
    "Through router 3, the proxy extends the circuit to router 1. Router 1 sees that router 3 is before it, but not who created the circuit.",
    "Through router 3 and router 1, the proxy extends the circuit to router 2. Router 2 sees that router 1 is before it, but not who created the circuit.",
  ]);
  assert.deepEqual(buildingSentences([]), []);
});
