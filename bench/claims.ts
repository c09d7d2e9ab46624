/**
 * What the figures must show. Each claim is a ratio of two contenders within a round, or a plain
 * figure.
 *
 * @module
 */
import { type Challenge, type Duel, isSamePair } from "./duels.ts";
import type { Figures, MeasureKey } from "./measures.ts";
import { pairedRatios, type Rounds, summarize, type Summary } from "./stats.ts";

/** One claim. */
interface Claim {
  readonly title: string;
  readonly contender: string;
  readonly measure: MeasureKey;
  /** The contender to divide by. Without one, the figure itself counts. */
  readonly against?: string;
  /**
   * Whether the two take turns, see {@linkcode Duel}, because the bound is smaller than the noise
   * of rounds.
   */
  readonly byTurns?: true;
  /** Bounds of the median. A claim without bounds is only reported. */
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** The result of a claim. */
export interface ClaimResult extends Claim, Summary {
  /** Whether the median is within the bounds; undefined without bounds. */
  readonly holds?: boolean;
}

/** Names of the round trips in claims. */
const ROUND_TRIPS = { spaced: "spaced", flood: "flood", backToBack: "back to back" } as const;

/** Every claim, in the order of the table. */
export const CLAIMS: readonly Claim[] = [
  ...sameWork("stage 2", "stage2", "tun_pair", { roundTrip: 1.25, rate: 0.9, cpu: 1.3 }, [
    "spaced",
    "closer",
    "random",
  ]),
  {
    title: "stage 2, 64 bytes: packets/s with every packet logged",
    contender: "stage2",
    measure: "rate64",
    against: "stage2_nolog",
    byTurns: true,
    atLeast: 0.9,
  },
  {
    title: "stage 2, 1400 bytes: packets/s with every packet logged",
    contender: "stage2",
    measure: "rate1400",
    against: "stage2_nolog",
    byTurns: true,
    atLeast: 0.9,
  },
  { title: "stage 2: start to ready, ms", contender: "stage2", measure: "start", atMost: 300 },
  { title: "stage 3: start to ready, ms", contender: "stage3", measure: "start", atMost: 300 },
  ...sameWork("stage 3", "stage3", "raw_pair"),
  {
    title: "stage 3: round trip, spaced",
    contender: "stage3",
    measure: "spaced",
    against: "lab_route",
  },
  { title: "stage 3: round trip, flood", contender: "stage3", measure: "flood", against: "lab_route" },
  ...(["spaced", "flood", "backToBack"] as const).map((measure): Claim => ({
    title: `3 sealed hops against 1 plain one: round trip, ${ROUND_TRIPS[measure]}`,
    contender: "sealed_3",
    measure,
    against: "plain_1",
    atMost: 4,
  })),
  ...(["rate64", "rate1400"] as const).flatMap((measure): Claim[] => {
    const size = measure === "rate64" ? 64 : 1400;
    return [
      {
        title: `3 sealed hops against 3 plain ones, ${size} bytes: packets/s`,
        contender: "sealed_3",
        measure,
        against: "plain_3",
      },
      {
        title: `3 sealed hops against 1 plain one, ${size} bytes: packets/s`,
        contender: "sealed_3",
        measure,
        against: "plain_1",
      },
    ];
  }),
  { title: "stage 6, 4 routers: start to ready, ms", contender: "sealed_3", measure: "start" },
  {
    title: "stage 2: round trip, spaced",
    contender: "stage2",
    measure: "spaced",
    against: "wireguard_go",
  },
  {
    title: "stage 2, 1400 bytes: packets/s",
    contender: "stage2",
    measure: "rate1400",
    against: "wireguard_go",
  },
];

/**
 * A claim about a contender and its C floor.
 *
 * @param byTurns the figures that the two take by turns
 */
function sameWork(
  title: string,
  contender: string,
  against: string,
  allowed?: { readonly roundTrip: number; readonly rate: number; readonly cpu: number },
  byTurns: readonly MeasureKey[] = [],
): Claim[] {
  const claim = (what: string, measure: MeasureKey, bounds: Pick<Claim, "atMost" | "atLeast">): Claim => ({
    title: `${title}${what}`,
    contender,
    measure,
    against,
    ...(byTurns.includes(measure) ? { byTurns: true } : {}),
    ...(allowed === undefined ? {} : bounds),
  });
  const [roundTrip, rate, cpu] = [
    { atMost: allowed?.roundTrip ?? 0 },
    { atLeast: allowed?.rate ?? 0 },
    { atMost: allowed?.cpu ?? 0 },
  ];
  return [
    claim(": round trip, spaced", "spaced", roundTrip),
    claim(": round trip, ping awake meanwhile", "closer", {}),
    claim(": round trip, at random moments", "random", roundTrip),
    claim(": round trip, flood", "flood", roundTrip),
    claim(": round trip, back to back", "backToBack", roundTrip),
    claim(", 64 bytes: packets/s", "rate64", rate),
    claim(", 1400 bytes: packets/s", "rate1400", rate),
    claim(", 64 bytes: CPU a packet", "cpu64", cpu),
    claim(", 1400 bytes: CPU a byte", "cpu1400", cpu),
  ];
}

/** The pairs that take turns, each once. */
export const DUELS: readonly Challenge[] = challengesOf(CLAIMS);

function challengesOf(claims: readonly Claim[]): Challenge[] {
  const challenges: (Challenge & { readonly measures: MeasureKey[] })[] = [];
  for (const { contender, against, measure, byTurns } of claims) {
    if (!byTurns || against === undefined) continue;
    const known = challenges.find((other) => isSamePair(other, { contender, against }));
    if (known === undefined) challenges.push({ contender, against, measures: [measure] });
    else known.measures.push(measure);
  }
  return challenges;
}

/** The claims that these contenders and duels can decide. */
export function decideClaims(
  entrants: readonly { readonly name: string; readonly rounds: readonly Figures[] }[],
  duels: readonly Duel[] = [],
): ClaimResult[] {
  const column = (name: string, measure: MeasureKey): Rounds =>
    entrants.find((entrant) => entrant.name === name)?.rounds.map((figures) => figures[measure]) ?? [];

  const figuresOf = ({ contender, measure, against, byTurns }: Claim): Rounds => {
    if (against === undefined) return column(contender, measure);
    if (!byTurns) return pairedRatios(column(contender, measure), column(against, measure));
    const duel = duels.find((duel) => isSamePair(duel, { contender, against }));
    return duel?.rounds.map((ratios) => ratios[measure]) ?? [];
  };

  return CLAIMS.flatMap((claim) => {
    const { atMost = Infinity, atLeast = -Infinity } = claim;
    const summary = summarize(figuresOf(claim));
    if (summary === undefined) return [];
    const isBounded = atMost < Infinity || atLeast > -Infinity;
    const holds = summary.median <= atMost && summary.median >= atLeast;
    return [{ ...claim, ...summary, ...(isBounded ? { holds } : {}) }];
  });
}
