/**
 * The rounds: every contender in turn, as often as asked.
 *
 * @module
 */
import type { Contender } from "./contender.ts";
import { warmUp } from "./measure.ts";
import type { Instruments } from "./traffic.ts";

/** A contender and its rounds. */
export interface Measured<Figures> {
  readonly contender: Contender;
  readonly rounds: readonly Figures[];
}

/** What rounds need besides {@linkcode Instruments}. */
export interface Conduct<Figures> {
  readonly rounds: number;
  /** Takes the figures of one contender in one round. */
  readonly measure: (contender: Contender, instruments: Instruments) => Promise<Figures>;
  /** The figures of a contender that has failed. */
  readonly nothing: Figures;
  readonly progress: (text: string) => void;
}

/**
 * Measures all contenders in every round, so that they share the machine's moods. Each round begins
 * with another one, so none always follows the same neighbour. A contender that may fail and does
 * is omitted with a note, and its later rounds stay empty.
 */
export async function measureRounds<Figures>(
  contenders: readonly Contender[],
  { rounds, measure, nothing, progress }: Conduct<Figures>,
  instruments: Instruments,
): Promise<Measured<Figures>[]> {
  const failed = new Set<Contender>();
  /** The result of `work` for the contender; `undefined` if it fails and may. */
  const attempt = async <Result>(contender: Contender, work: () => Promise<Result>) => {
    try {
      return await work();
    } catch (error) {
      if (!contender.mayFail || instruments.signal.aborted) throw error;
      failed.add(contender);
      const why = `${contender.name} was left out: ${error instanceof Error ? error.message : error}`;
      progress(why);
      instruments.note(why);
      return undefined;
    }
  };

  for (const contender of contenders) {
    progress(`warming up ${contender.name}`);
    await attempt(contender, () => warmUp(contender, instruments.signal));
  }
  const figures = new Map<Contender, Figures[]>(
    contenders.filter((contender) => !failed.has(contender)).map((contender) => [contender, []]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const contender of rotated([...figures.keys()], round)) {
      progress(`round ${round + 1} of ${rounds}: ${contender.name}`);
      const taken = failed.has(contender)
        ? undefined
        : await attempt(contender, () => measure(contender, instruments));
      figures.get(contender)?.push(taken ?? nothing);
    }
  }
  return Array.from(figures, ([contender, rounds]) => ({ contender, rounds }));
}

/** The items from number `by` on, then those before it. */
export function rotated<T>(items: readonly T[], by: number): T[] {
  const start = items.length > 0 ? by % items.length : 0;
  return [...items.slice(start), ...items.slice(0, start)];
}
