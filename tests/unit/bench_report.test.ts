import assert from "node:assert/strict";
import type { Figures } from "../../bench/measures.ts";
import { QUICK } from "../../bench/plan.ts";
import { type Circumstances, type Entrant, makeReport } from "../../bench/report.ts";
import { rotated } from "../../bench/rounds.ts";
import { renderMarkdown } from "../../bench/markdown.ts";
import { renderText } from "../../bench/text.ts";
import { parseCpuTimes, stolenShare } from "../../bench/machine.ts";

const CIRCUMSTANCES: Circumstances = {
  machine: {
    date: "2026-01-02T03:04:05.000Z",
    revision: "abc1234",
    processor: "Some CPU",
    cores: 2,
    memory: 8,
    kernel: "6.1.0",
    deno: "2.9.6",
    congestionControl: "cubic",
    loadBefore: 0.1,
  },
  plan: QUICK,
  rounds: 3,
  quick: false,
  stolen: 0.002,
  notes: [],
};

function entrant(name: string, over: Partial<Entrant>, rounds: Figures[]): Entrant {
  return { name, shape: "two processes", floor: false, ...over, rounds };
}

const FLOOR = entrant("tun_pair", { floor: true }, [{ spaced: 10 }, { spaced: 20 }, { spaced: 30 }]);

function figureOf(report: ReturnType<typeof makeReport>, key: string, contender: string) {
  return report.measures.find((measure) => measure.key === key)?.figures.find((figure) =>
    figure.contender === contender
  );
}

Deno.test("makeReport: takes ratios to the floor of the same shape, round by round", () => {
  const ours = entrant("stage2", {}, [{ spaced: 12 }, { spaced: 30 }, { spaced: 33 }]);
  const other = entrant("tun_echo", { shape: "one process", floor: true }, [{ spaced: 1 }]);
  const report = makeReport([other, FLOOR, ours], CIRCUMSTANCES);
  const figure = figureOf(report, "spaced", "stage2");
  assert.equal(figure?.median, 30);
  assert.deepEqual(figure?.versusFloor, { median: 1.2, least: 1.1, most: 1.5, rounds: 3 });
  assert.equal(figureOf(report, "spaced", "tun_pair")?.versusFloor?.median, 1);
});

Deno.test("makeReport: gives no ratio without a floor", () => {
  const report = makeReport([entrant("stage2", {}, [{ spaced: 12 }])], CIRCUMSTANCES);
  assert.equal(figureOf(report, "spaced", "stage2")?.versusFloor, undefined);
  assert.equal(figureOf(report, "start", "stage2"), undefined);
});

Deno.test("makeReport: judges each figure in its direction, but not the tail", () => {
  const before = entrant("stage2@old", {}, [{ spaced: 10, rate64: 100, start: 100, tail: 10 }]);
  const now = entrant("stage2", { before: "stage2@old" }, [{
    spaced: 13,
    rate64: 130,
    start: 119,
    tail: 99,
  }]);
  const report = makeReport([now, before], { ...CIRCUMSTANCES, against: "old" });
  assert.deepEqual(report.regressions, [
    "stage2: round trip, ping -i 0.02, µs: 1.30 times that of old",
  ]);
  assert.equal(figureOf(report, "rate64", "stage2")?.versusBefore?.regression, false);
  assert.equal(figureOf(report, "tail", "stage2")?.versusBefore?.regression, false);
  assert.equal(figureOf(report, "spaced", "stage2@old")?.versusBefore, undefined);
});

Deno.test("makeReport: keeps empty rounds in JSON", () => {
  const gap = entrant("stage2", {}, [{ spaced: 1 }, {}, { spaced: 3 }]);
  const report = makeReport([gap], CIRCUMSTANCES);
  assert.deepEqual(figureOf(JSON.parse(JSON.stringify(report)), "spaced", "stage2")?.values, [1, null, 3]);
});

Deno.test("makeReport: takes the named kernel of any shape, and omits empty measures", () => {
  const kernel = entrant("veth", { shape: "kernel", kernel: "veth" }, [{ spaced: 5 }, { spaced: 10 }]);
  const ours = entrant("stage2", { kernel: "veth" }, [{ spaced: 20 }, { spaced: 30 }]);
  const report = makeReport([kernel, FLOOR, ours], CIRCUMSTANCES);
  assert.equal(figureOf(report, "spaced", "stage2")?.versusKernel?.median, 3.5);
  assert.equal(figureOf(report, "spaced", "veth")?.versusKernel?.median, 1);
  assert.equal(figureOf(report, "spaced", "veth")?.versusFloor, undefined);
  assert.equal(figureOf(report, "spaced", "tun_pair")?.versusKernel, undefined);
  assert.deepEqual(report.measures.map(({ key }) => key), ["spaced"]);
});

Deno.test("renderText: prints an aligned Markdown table, remarks, then claims", () => {
  const kernel = entrant("veth", { shape: "kernel", kernel: "veth" }, [{ backToBack: 10 }]);
  const floor = entrant("tun_pair", { floor: true, kernel: "veth" }, [{ backToBack: 20, rate64: 120000 }]);
  const ours = entrant("stage2", { kernel: "veth", before: "stage2@old" }, [{
    backToBack: 30,
    rate64: 110000,
  }]);
  const old = entrant("stage2@old", { kernel: "veth" }, [{ backToBack: 20, rate64: 100000 }]);
  const report = makeReport([kernel, floor, ours, old], {
    ...CIRCUMSTANCES,
    against: "old",
    rounds: 1,
    notes: ["Mind this."],
  });
  assert.equal(
    renderText(report),
    `onion abc1234, 2026-01-02, 1 round
Some CPU, 2 cores, Linux 6.1.0, Deno 2.9.6; load before 0.1, taken by the hypervisor 0.2 %

## Side by side

| measure                           | contender  |  median |         min–max |  × C | × kernel |           × old |
|-----------------------------------|------------|--------:|----------------:|-----:|---------:|----------------:|
| round trip, back to back, µs      | veth       |    10.0 |       10.0–10.0 |      |     1.00 |                 |
|                                   | tun_pair   |    20.0 |       20.0–20.0 | 1.00 |     2.00 |                 |
|                                   | stage2     |    30.0 |       30.0–30.0 | 1.50 |     3.00 | 1.50 REGRESSION |
|                                   | stage2@old |    20.0 |       20.0–20.0 | 1.00 |     2.00 |                 |
| without loss, 64 bytes, packets/s | tun_pair   | 120,000 | 120,000–120,000 | 1.00 |          |                 |
|                                   | stage2     | 110,000 | 110,000–110,000 | 0.92 |          |            1.10 |
|                                   | stage2@old | 100,000 | 100,000–100,000 | 0.83 |          |                 |

Ratios are taken within a round, and the table shows their median. × C is the ratio to the same work in C, × kernel the ratio to the kernel alone on the same way.

Mind this.

REGRESSION: stage2: round trip, back to back, µs: 1.50 times that of old

## What it must show

| what                              | against  | median |   min–max | allowed | holds |
|-----------------------------------|----------|-------:|----------:|--------:|------:|
| stage 2: round trip, back to back | tun_pair |   1.50 | 1.50–1.50 |  ≤ 1.25 |    NO |
| stage 2, 64 bytes: packets/s      | tun_pair |   0.92 | 0.92–0.92 |   ≥ 0.9 |   yes |`,
  );
});

Deno.test("renderMarkdown: prints the circumstances, then the same sections", () => {
  const report = makeReport([FLOOR], {
    ...CIRCUMSTANCES,
    peers: [{ name: "Tor", version: "0.4.8.1" }],
    machine: { ...CIRCUMSTANCES.machine, loadBefore: 1.5 },
  });
  const page = renderMarkdown(report);
  assert.ok(page.startsWith("# Performance\n\n"));
  assert.ok(page.endsWith("|\n") || page.endsWith(".\n"));
  for (
    const row of [
      /^\| commit +\| abc1234 +\|$/m,
      /^\| date +\| 2026-01-02 03:04 UTC +\|$/m,
      /^\| machine +\| Some CPU, 2 cores, 8 GB +\|$/m,
      /^\| kernel +\| Linux 6\.1\.0 +\|$/m,
      /^\| Deno +\| 2\.9\.6 +\|$/m,
      /^\| peers +\| Tor 0\.4\.8\.1 +\|$/m,
      /^\| load before +\| 1\.50: busy, so trust ratios only a little \|$/m,
      /^## Side by side$/m,
    ]
  ) assert.match(page, row);
});

Deno.test("rotated: starts each round with another item", () => {
  const names = ["a", "b", "c"];
  assert.deepEqual([0, 1, 2, 3].map((round) => rotated(names, round).join("")), ["abc", "bca", "cab", "abc"]);
  assert.deepEqual(rotated([], 2), []);
});

Deno.test("stolenShare: takes the share between two readings of /proc/stat", () => {
  const before = parseCpuTimes("cpu  100 0 50 800 10 0 10 30 5 0\ncpu0 1 2 3\n");
  const after = parseCpuTimes("cpu  150 0 70 900 10 0 20 50 9 0\ncpu0 1 2 3\n");
  assert.deepEqual(before, { total: 1000, stolen: 30 });
  assert.equal(stolenShare(before, after), 0.1);
  assert.equal(stolenShare(before, before), 0);
});
