import assert from "node:assert/strict";
import type { Contender } from "../../bench/contender.ts";
import { AXES, type GrowthFigures, reportGrowth } from "../../bench/growth.ts";
import { Place } from "../../bench/place.ts";
import { makeReport } from "../../bench/report.ts";
import { QUICK } from "../../bench/plan.ts";
import { renderText } from "../../bench/text.ts";

function contender(name: string, floor: boolean): Contender {
  return {
    name,
    shape: "two processes",
    floor,
    place: new Place(["true"]),
    targets: {},
    start: () => Promise.reject(new Error("nobody starts it")),
  };
}

const FLOOR: GrowthFigures[] = [
  { "64 bytes, 1 flows": { roundTrip: 10, rate: 100 }, "512 bytes, 1 flows": { roundTrip: 20, rate: 50 } },
  { "64 bytes, 1 flows": { roundTrip: 20, rate: 200 }, "512 bytes, 1 flows": { roundTrip: 40, rate: 80 } },
];
const OURS: GrowthFigures[] = [
  {
    "64 bytes, 1 flows": { roundTrip: 15, rate: 90 },
    "512 bytes, 1 flows": { roundTrip: 30 },
    "4000 bytes, 1 flows": { roundTrip: 90, rate: 10 },
  },
  {},
];

Deno.test("axes: start at one point and grow", () => {
  for (const { points } of AXES) {
    assert.deepEqual(points[0], { size: 64, flows: 1 });
    const products = points.map(({ size, flows }) => size * flows);
    assert.deepEqual(products, products.toSorted((a, b) => a - b));
  }
});

Deno.test("reportGrowth: takes ratios to the first point and to the floor within a round", () => {
  const [hosts, bytes] = reportGrowth([
    { contender: contender("tun_pair", true), rounds: FLOOR },
    { contender: contender("stage2", false), rounds: OURS },
  ]);
  assert.deepEqual(hosts?.rows.map(({ point, contender }) => `${point} ${contender}`), [
    "1 tun_pair",
    "1 stage2",
  ]);
  assert.deepEqual(bytes?.rows.map(({ point, contender }) => `${point} ${contender}`), [
    "64 tun_pair",
    "64 stage2",
    "512 tun_pair",
    "512 stage2",
    "4000 stage2",
  ]);
  const [, first, grown, ours, fragments] = bytes!.rows;
  assert.equal(first?.figures.roundTrip?.versusFloor?.median, 1.5);
  assert.equal(grown?.figures.roundTrip?.versusFirst?.median, 2);
  assert.ok(Math.abs(grown!.figures.rate!.versusFirst!.median - 0.45) < 1e-9);
  assert.equal(grown?.figures.roundTrip?.versusFloor, undefined);
  assert.equal(ours?.figures.rate, undefined);
  assert.equal(fragments?.figures.roundTrip?.versusFirst?.median, 6);
  assert.equal(fragments?.figures.roundTrip?.versusFloor, undefined);
});

Deno.test("renderText: prints a table for each axis and names each point once", () => {
  const growth = reportGrowth([
    { contender: contender("tun_pair", true), rounds: FLOOR },
    { contender: contender("stage2", false), rounds: OURS },
  ]);
  const machine = {
    date: "2026-01-02T03:04:05.000Z",
    revision: "abc1234",
    processor: "Some CPU",
    cores: 2,
    memory: 8,
    kernel: "6.1.0",
    deno: "2.9.6",
    congestionControl: "cubic",
    loadBefore: 0.1,
  };
  const circumstances = { machine, plan: QUICK, rounds: 2, quick: false, stolen: 0, notes: [] };
  const text = renderText(makeReport([], circumstances, growth));
  assert.ok(
    text.includes(`## Growth: bytes of payload, one host

|      | contender | round trip, back to back, µs | × first |  × C | without loss, packets/s | × first |  × C |
|------|-----------|-----------------------------:|--------:|-----:|------------------------:|--------:|-----:|
| 64   | tun_pair  |                         15.0 |    1.00 |      |                     150 |    1.00 |      |
|      | stage2    |                         15.0 |    1.00 | 1.50 |                      90 |    1.00 | 0.90 |
| 512  | tun_pair  |                         30.0 |    2.00 |      |                      65 |    0.45 |      |
|      | stage2    |                         30.0 |    2.00 | 1.50 |                         |         |      |
| 4000 | stage2    |                         90.0 |    6.00 |      |                      10 |    0.11 |      |
`),
    text,
  );
});
