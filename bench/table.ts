/**
 * The report for people: one Markdown table that reads well in a terminal, too.
 *
 * @module
 */
import type { Report, ReportedFigure, ReportedMeasure } from "./report.ts";

/** Load average per core above which the machine was busy with something else. */
const BUSY = 0.3;

/** Renders a report as text, without a final newline. */
export function renderTable(report: Report): string {
  const head = ["measure", "contender", "median", "least–most", "× floor"];
  if (report.against !== undefined) head.push(`× ${report.against}`);
  const rows = report.measures.flatMap((measure) =>
    measure.figures.map((figure, index) => [
      index === 0 ? measure.title : "",
      figure.contender,
      format(figure.median, measure.digits),
      `${format(figure.least, measure.digits)}–${format(figure.most, measure.digits)}`,
      figure.versusFloor === undefined ? "" : figure.versusFloor.median.toFixed(2),
      ...(report.against === undefined ? [] : [formatChange(measure, figure)]),
    ])
  );
  return [
    ...describe(report),
    "",
    ...layOut(head, rows),
    ...remarks(report).flatMap((remark) => ["", remark]),
  ].join("\n");
}

function describe({ machine, rounds, quick, stolen }: Report): string[] {
  return [
    `onion ${machine.revision}, ${machine.date.slice(0, 10)}, ${rounds} ${
      rounds === 1 ? "round" : "rounds"
    }` +
    (quick ? " of --quick: for a look, not for quoting" : ""),
    `${machine.processor}, ${machine.cores} cores, Linux ${machine.kernel}, Deno ${machine.deno}; ` +
    `load before ${machine.loadBefore.toFixed(1)}, taken by the hypervisor ${(stolen * 100).toFixed(1)} %`,
  ];
}

function remarks(report: Report): string[] {
  const { machine, against, regressions, notes } = report;
  return [
    "Ratios are taken within a round; the median of the rounds' ratios is shown. The floor of a shape is 1.",
    ...(machine.loadBefore > BUSY * machine.cores
      ? ["The machine was busy before the bench began: trust no figure, and ratios only a little."]
      : []),
    ...notes,
    ...regressions.map((line) => `REGRESSION: ${line}`),
    ...(against !== undefined && regressions.length === 0 ? [`No regression against ${against}.`] : []),
  ];
}

function formatChange(measure: ReportedMeasure, { versusBefore }: ReportedFigure): string {
  if (versusBefore === undefined) return "";
  const ratio = versusBefore.median.toFixed(2);
  if (!measure.judged) return `(${ratio})`;
  return versusBefore.regression ? `${ratio} REGRESSION` : ratio;
}

function format(value: number, digits: number): string {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Text in the first two columns, numbers in the others. */
function layOut(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) =>
    Math.max(...[head, ...rows].map((row) => (row[column] ?? title).length))
  );
  const line = (row: readonly string[]) =>
    `| ${
      widths.map((width, at) => at < 2 ? (row[at] ?? "").padEnd(width) : (row[at] ?? "").padStart(width))
        .join(" | ")
    } |`;
  const rule = `|${
    widths.map((width, at) => at < 2 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`).join("|")
  }|`;
  return [line(head), rule, ...rows.map(line)];
}
