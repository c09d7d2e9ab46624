/**
 * Tables that read well in a terminal and are Markdown, too.
 *
 * @module
 */
import type { Summary } from "./stats.ts";

/**
 * Lays rows out in columns of equal width.
 *
 * @param texts the number of columns, from the left, that hold text; the others hold numbers and
 * are flush right
 */
export function layOut(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  texts: number,
): string[] {
  const widths = head.map((title, column) =>
    Math.max(...[head, ...rows].map((row) => (row[column] ?? title).length))
  );
  const pad = (text: string, column: number) =>
    column < texts ? text.padEnd(widths[column]!) : text.padStart(widths[column]!);
  const line = (row: readonly string[]) => `| ${head.map((_, at) => pad(row[at] ?? "", at)).join(" | ")} |`;
  const rule = head.map((_, at) =>
    at < texts ? "-".repeat(widths[at]! + 2) : `${"-".repeat(widths[at]! + 1)}:`
  );
  return [line(head), `|${rule.join("|")}|`, ...rows.map(line)];
}

/** A figure, e.g. `120,000`. */
export function formatFigure(value: number, digits: number): string {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** The extremes, e.g. `9.8–11.2`. */
export function formatSpread({ least, most }: Summary, digits: number): string {
  return `${formatFigure(least, digits)}–${formatFigure(most, digits)}`;
}

/** The median of some ratios; empty without any. */
export function formatRatio(ratios: Summary | undefined): string {
  return ratios === undefined ? "" : ratios.median.toFixed(2);
}
