/**
 * The rounds: every contender in turn, as often as asked.
 *
 * @module
 */
import type { Contender } from "./contender.ts";
import { type Instruments, measure, warmUp } from "./measure.ts";
import type { Figures } from "./measures.ts";

/** A contender and what each round said about it. */
export interface Measured {
  readonly contender: Contender;
  readonly rounds: readonly Figures[];
}

/**
 * Measures all contenders in every round, so that whatever the machine does to one it does to all. Each round
 * begins with another one: nobody always comes after the same neighbour.
 */
export async function measureRounds(
  contenders: readonly Contender[],
  rounds: number,
  instruments: Instruments,
  progress: (text: string) => void,
): Promise<Measured[]> {
  const figures = new Map<Contender, Figures[]>(contenders.map((contender) => [contender, []]));
  for (const contender of contenders) await warmUp(contender, instruments.signal);
  for (let round = 0; round < rounds; round++) {
    for (const contender of rotated(contenders, round)) {
      progress(`round ${round + 1} of ${rounds}: ${contender.name}`);
      figures.get(contender)?.push(await measure(contender, instruments));
    }
  }
  return Array.from(figures, ([contender, rounds]) => ({ contender, rounds }));
}

/** The items from number `by` on, then those before it. */
export function rotated<T>(items: readonly T[], by: number): T[] {
  const start = items.length > 0 ? by % items.length : 0;
  return [...items.slice(start), ...items.slice(0, start)];
}
