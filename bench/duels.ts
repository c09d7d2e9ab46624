/**
 * Duels: two contenders are up at once and take short turns.
 *
 * A machine can be a sixth slower for some seconds, perhaps because its host has moved one of its
 * processors. Rounds of many seconds do not share that, and a difference of a few percent is lost
 * in it. Turns of a third of a second share it. They also average the processor that each `ping`
 * gets at its start.
 *
 * @module
 */
import type { Contender } from "./contender.ts";
import type { Figures, MeasureKey } from "./measures.ts";
import { LARGE, PROBES, SMALL } from "./probes.ts";
import type { Conduct } from "./rounds.ts";
import { pairedRatios, summarize } from "./stats.ts";
import { awaitFirstReply, type Instruments, onLoad, type Subject } from "./traffic.ts";

/** Two contenders, by name. */
interface Pair {
  readonly contender: string;
  readonly against: string;
}

/** A pair that takes turns, and the wanted figures. */
export interface Challenge extends Pair {
  readonly measures: readonly MeasureKey[];
}

/** A pair and its rounds: the ratios of the first contender's figures to the second's. */
export interface Duel extends Pair {
  readonly rounds: readonly Figures[];
}

/** Whether both have the same two contenders in the same order. */
export function isSamePair(one: Pair, other: Pair): boolean {
  return one.contender === other.contender && one.against === other.against;
}

/**
 * Lets two contenders take turns. Each round starts both anew.
 *
 * @param measures the wanted figures; the same probes may tell more
 * @throws Error if one of them dies, answers nothing, or answers wrongly
 */
export async function measureDuel(
  [one, other]: readonly [Contender, Contender],
  measures: readonly MeasureKey[],
  { rounds, progress }: Pick<Conduct<Figures>, "rounds" | "progress">,
  instruments: Instruments,
): Promise<Duel> {
  const ratios: Figures[] = [];
  for (let round = 0; round < rounds; round++) {
    progress(`round ${round + 1} of ${rounds}: ${one.name} and ${other.name} by turns`);
    ratios.push(await measureRound([one, other], measures, instruments));
  }
  return { contender: one.name, against: other.name, rounds: ratios };
}

async function measureRound(
  [one, other]: readonly [Contender, Contender],
  measures: readonly MeasureKey[],
  instruments: Instruments,
): Promise<Figures> {
  await using first = await one.start(instruments.signal);
  await using second = await other.start(instruments.signal);
  const signal = AbortSignal.any([instruments.signal, first.ended, second.ended]);
  const inside = { ...instruments, signal };
  const subjects: [Subject, Subject] = [
    { contender: one, running: first, way: wayTo(one) },
    { contender: other, running: second, way: wayTo(other) },
  ];
  for (const subject of subjects) await settle(subject, inside);
  const { turns, turn } = instruments.plan;
  const figures: Figures[] = [];
  for (const { yields, take } of PROBES) {
    if (!yields.some((key) => measures.includes(key))) continue;
    figures.push(await takeTurns(subjects, turns, (subject) => take(subject, inside, turn)));
  }
  return Object.assign({}, ...figures);
}

function wayTo({ name, targets: { packets } }: Contender) {
  if (packets === undefined) throw new TypeError(`no packet passes ${name}, which has been asked to a duel`);
  return packets;
}

/** Warms up until code is compiled and buffers have grown. */
async function settle(subject: Subject, instruments: Instruments): Promise<void> {
  const { settleSeconds: span, window } = instruments.plan;
  await awaitFirstReply(subject.contender, subject.way, instruments.signal);
  const load = { warmup: 0, span, flows: 1 };
  await onLoad(subject, instruments, { ...load, size: SMALL, window: 1 });
  for (const size of [SMALL, LARGE]) await onLoad(subject, instruments, { ...load, size, window });
}

/**
 * Takes the figures of two contenders by turns. The second in one turn is first in the next.
 *
 * @param take takes the figures of one of them
 * @returns for each figure, the median of the turns' ratios of the first to the second
 */
export async function takeTurns<Opponent>(
  [one, other]: readonly [Opponent, Opponent],
  turns: number,
  take: (opponent: Opponent) => Promise<Figures>,
): Promise<Figures> {
  const mine: Figures[] = [];
  const theirs: Figures[] = [];
  const begin = async () => void mine.push(await take(one));
  const answer = async () => void theirs.push(await take(other));
  for (let turn = 0; turn < turns; turn++) {
    for (const go of turn % 2 === 0 ? [begin, answer] : [answer, begin]) await go();
  }
  const keys = new Set(mine.flatMap((figures) => Object.keys(figures) as MeasureKey[]));
  const ratios: Figures = {};
  for (const key of keys) {
    const column = (of: readonly Figures[]) => of.map((figures) => figures[key]);
    const summary = summarize(pairedRatios(column(mine), column(theirs)));
    if (summary !== undefined) ratios[key] = summary.median;
  }
  return ratios;
}
