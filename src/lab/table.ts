/**
 * Text in columns. Pure.
 *
 * @module
 */

/**
 * Columns as wide as their widest cell, with two blanks between. A last cell may have several
 * lines.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly [...cells: string[], last: string | readonly string[]])[],
): string {
  const lines = [head, ...rows.flatMap(linesOf)];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines.map((line) =>
    `  ${line.map((cell, column) => cell.padEnd(widths[column]!)).join("  ")}`.trimEnd()
  )
    .join("\n");
}

function linesOf(row: readonly [...cells: string[], last: string | readonly string[]]): string[][] {
  const cells = row.slice(0, -1) as string[];
  const last = row.at(-1)!;
  const [first = "", ...more] = typeof last === "string" ? [last] : last;
  return [[...cells, first], ...more.map((line) => [...cells.map(() => ""), line])];
}

/** Max width of sentences in columns. A table may be wider. */
const WIDTH = 110;

/** A numbered list of sentences. */
export function list(sentences: readonly string[], before = 0): string {
  return sentences.map((sentence, index) => {
    const number = `${before + index + 1}.`.padStart(3);
    return `${number} ${wrap(sentence, WIDTH - 4).join("\n    ")}`;
  }).join("\n");
}

/** Wraps at blanks, but keeps `router 1` on one line. */
function wrap(sentence: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of sentence.split(/ (?!\d)/)) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}
