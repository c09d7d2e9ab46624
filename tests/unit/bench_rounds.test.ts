import assert from "node:assert/strict";
import type { Contender } from "../../bench/contender.ts";
import type { Instruments } from "../../bench/traffic.ts";
import { Place } from "../../bench/place.ts";
import { QUICK } from "../../bench/plan.ts";
import { measureRounds } from "../../bench/rounds.ts";

function contender(name: string, over: Partial<Contender> = {}): Contender {
  return {
    name,
    shape: "peer",
    floor: false,
    place: new Place(["true"]),
    targets: {},
    start: () =>
      Promise.resolve({
        startMs: 1,
        ended: new AbortController().signal,
        pids: () => Promise.resolve([]),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    ...over,
  };
}

function conduct(contenders: Contender[], measure: (contender: Contender) => string, signal?: AbortSignal) {
  const notes: string[] = [];
  const instruments: Instruments = {
    plan: QUICK,
    loadProgram: "load",
    note: (text) => notes.push(text),
    signal: signal ?? new AbortController().signal,
  };
  const measured = measureRounds(contenders, {
    rounds: 3,
    // deno-lint-ignore require-await
    measure: async (contender) => measure(contender),
    nothing: "",
    progress: () => {},
  }, instruments);
  return { notes, measured };
}

const NEVER_STARTS: Partial<Contender> = { start: () => Promise.reject(new Error("no such program")) };

Deno.test("measureRounds: measures all contenders in every round", async () => {
  const order: string[] = [];
  const { measured } = conduct([contender("a"), contender("b")], ({ name }) => {
    order.push(name);
    return `${name}${order.length}`;
  });
  assert.deepEqual((await measured).map(({ rounds }) => rounds), [["a1", "a4", "a5"], ["b2", "b3", "b6"]]);
});

Deno.test("measureRounds: omits an optional contender that never starts, with a note", async () => {
  const { measured, notes } = conduct(
    [contender("a"), contender("peer", { ...NEVER_STARTS, mayFail: true })],
    ({ name }) => name,
  );
  assert.deepEqual((await measured).map(({ contender }) => contender.name), ["a"]);
  assert.deepEqual(notes, ["peer was left out: no such program"]);
});

Deno.test("measureRounds: keeps the rounds of a contender that fails later", async () => {
  let turns = 0;
  const { measured, notes } = conduct([contender("peer", { mayFail: true })], () => {
    if (++turns === 2) throw new Error("it died");
    return "figures";
  });
  assert.deepEqual((await measured)[0]?.rounds, ["figures", "", ""]);
  assert.deepEqual(notes, ["peer was left out: it died"]);
});

Deno.test("measureRounds: throws if ours fails, and on Ctrl+C", async () => {
  await assert.rejects(conduct([contender("ours", NEVER_STARTS)], () => "").measured, /no such program/);
  const peer = contender("peer", { ...NEVER_STARTS, mayFail: true });
  await assert.rejects(conduct([peer], () => "", AbortSignal.abort()).measured, /no such program/);
});
