/**
 * The word that a mistyped one resembles most, for "did you mean …?".
 *
 * @module
 */

/**
 * Finds the nearest word.
 *
 * @param max how many letters may differ; never more than half of the typed ones
 */
export function nearest(typed: string, words: readonly string[], max = 3): string | undefined {
  const limit = Math.min(max, typed.length / 2);
  const ranked = words
    // Such words differ by more letters anyway, and to compare a long one takes seconds.
    .filter((word) => Math.abs(word.length - typed.length) <= limit)
    .map((word) => ({ word, distance: editDistance(typed.toLowerCase(), word.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  return ranked.find(({ distance }) => distance <= limit)?.word;
}

/** How many letters to add, remove, replace or swap with a neighbour (optimal string alignment). */
function editDistance(from: string, to: string): number {
  // rows[i][j] is the distance from the first i letters of `from` to the first j of `to`.
  const rows = [Array.from({ length: to.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= from.length; i++) {
    const [above, row] = [rows[i - 1]!, [i]];
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1];
      row[j] = Math.min(above[j - 1]! + (isSame ? 0 : 1), above[j]! + 1, row[j - 1]! + 1);
      const isSwapped = from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (isSwapped && i > 1 && j > 1) row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1);
    }
    rows.push(row);
  }
  return rows[from.length]![to.length]!;
}
