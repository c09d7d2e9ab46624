import assert from "node:assert/strict";
import { building, buildingSentences, contentsOf } from "../../src/lab/building.ts";
import { passages } from "../../src/lab/passages.ts";
import { Captures } from "../support/captures.ts";

function build(circuits: "plain" | "sealed", ...path: number[]) {
  const captures = new Captures(circuits, path);
  captures.build();
  return building(passages(captures.items()));
}

/** Steps as `proxy→router 1 begin: what is in it`. */
function lines(steps: ReturnType<typeof build>): string[] {
  return steps.map((step) =>
    `${step.passage.from}→${step.passage.to} ${step.does}: ${contentsOf(step).join(" ")}`
  );
}

Deno.test("in the clear: who is asked to extend the circuit, and to whom", () => {
  assert.deepEqual(lines(build("plain", 2, 1)), [
    "proxy→router 2 begin: nothing but: begin here",
    "router 2→proxy begun: nothing: it has begun here",
    "proxy→router 2 extend: extend to router 1, at 127.0.0.1:5001",
    "router 2→router 1 begin: nothing but: begin here",
    "router 1→router 2 begun: nothing: it has begun here",
    "router 2→proxy extended: nothing: router 1 has been reached",
  ]);
});

Deno.test("sealed: a layer for every router that a cell still comes to, or has come by", () => {
  assert.deepEqual(lines(build("sealed", 3, 1, 2)), [
    "proxy→router 3 begin: 48 bytes: a handshake with router 3",
    "router 3→proxy begun: 48 bytes: router 3's answer to it",
    "proxy→router 3 extend: in 1 layer, for router 3 to read: extend to router 1, and a handshake with it",
    "router 3→router 1 begin: 48 bytes: a handshake with router 1",
    "router 1→router 3 begun: 48 bytes: router 1's answer to it",
    "router 3→proxy extended: in 1 layer, for the proxy to read: router 1's answer to the handshake",
    "proxy→router 3 extend: in 2 layers, for router 1 to read: extend to router 2, and a handshake with it",
    "router 3→router 1 extend: in 1 layer, for router 1 to read: extend to router 2, and a handshake with it",
    "router 1→router 2 begin: 48 bytes: a handshake with router 2",
    "router 2→router 1 begun: 48 bytes: router 2's answer to it",
    "router 1→router 3 extended: in 1 layer, for the proxy to read: router 2's answer to the handshake",
    "router 3→proxy extended: in 2 layers, for the proxy to read: router 2's answer to the handshake",
  ]);
});

Deno.test("the layers that are told are those that the sizes tell", () => {
  for (const { does, layers, cell } of build("sealed", 1, 2, 3, 4, 5)) {
    if (does === "extend") assert.equal(cell.body.length, 6 + 48 + 24 * layers);
    if (does === "extended") assert.equal(cell.body.length, 48 + 24 * layers);
  }
});

Deno.test("a circuit that was given up and begun anew by another path", () => {
  const captures = new Captures("sealed", [1, 2]);
  captures.build();
  const steps = building(passages(captures.items()));
  const again = building([
    // It got no further than to the question after the second router.
    ...steps.slice(0, 3).map(({ passage }) => passage),
    ...passages(rebuilt().items()),
  ]);
  assert.deepEqual(again.filter(({ does }) => does === "begin").map(({ path }) => path), [
    ["router 1"],
    ["router 3"],
    ["router 3", "router 4"],
  ]);
  assert.match(buildingSentences(again)[1]!, /^The proxy begins another circuit at router 3\. /);

  function rebuilt(): Captures {
    const other = new Captures("sealed", [3, 4]);
    other.build();
    return other;
  }
});

Deno.test("a question that nobody has answered", () => {
  const captures = new Captures("plain", [1, 2]);
  captures.build();
  const all = passages(captures.items());
  assert.deepEqual(
    lines(building(all.slice(0, 3))).at(-1),
    "proxy→router 1 extend: extend to ?, at 127.0.0.1:5002",
  );
});

Deno.test("in sentences, one for each router", () => {
  assert.deepEqual(buildingSentences(build("plain", 1, 2)), [
    "The proxy begins a circuit at router 1.",
    "By way of router 1, the proxy extends the circuit to router 2.",
  ]);
  assert.deepEqual(buildingSentences(build("sealed", 3, 1, 2)), [
    "The proxy begins a circuit at router 3. By a handshake the two get keys that nobody else has.",
    "By way of router 3, the proxy extends the circuit to router 1. Router 1 learns that router 3 is before it, not who began.",
    "By way of router 3 and router 1, the proxy extends the circuit to router 2. Router 2 learns that router 1 is before it, not who began.",
  ]);
  assert.deepEqual(buildingSentences([]), []);
});
