/**
 * From rounds to a report: medians, spread, ratios, regressions.
 *
 * @module
 */
import { type ClaimResult, decideClaims } from "./claims.ts";
import type { Shape } from "./contender.ts";
import type { Duel } from "./duels.ts";
import type { GrowthReport } from "./growth.ts";
import type { Machine } from "./machine.ts";
import { type Figures, type Measure, type MeasureKey, MEASURES } from "./measures.ts";
import type { FoundPeer } from "./peers.ts";
import type { Plan } from "./plan.ts";
import { isRegression, pairedRatios, type Rounds, summarize, type Summary } from "./stats.ts";

/** The contenders' rounds as the report needs them. */
export interface Entrant {
  readonly name: string;
  readonly shape: Shape;
  readonly floor: boolean;
  /** The entrant that is the kernel alone on the same way; for the kernel itself, its own name. */
  readonly kernel?: string;
  /** The entrant that is this one at another revision. */
  readonly before?: string;
  readonly rounds: readonly Figures[];
}

/** One figure of one contender. */
export interface ReportedFigure extends Summary {
  readonly contender: string;
  /** The value of each round; `null` without one. */
  readonly values: readonly (number | null)[];
  /** Ratio to the C floor of the same shape, if it took part. */
  readonly versusFloor?: Summary;
  /** Ratio to the kernel alone on the same way, if it took part. */
  readonly versusKernel?: Summary;
  /** Ratio to the same contender at the revision of `--against`. */
  readonly versusBefore?: Summary & { readonly regression: boolean };
}

/** The figures of all contenders in one measure. */
export interface ReportedMeasure extends Measure {
  readonly figures: readonly ReportedFigure[];
}

/** The circumstances of the figures. */
export interface Circumstances {
  readonly machine: Machine;
  readonly plan: Plan;
  readonly rounds: number;
  readonly quick: boolean;
  /** The peers that took part; undefined without `--peers`. */
  readonly peers?: readonly FoundPeer[];
  /** Commit id of `--against`. */
  readonly against?: string;
  /** Share of the machine that the hypervisor took meanwhile, 0 to 1. */
  readonly stolen: number;
  /** Notes for readers, e.g. that packets were lost. */
  readonly notes: readonly string[];
}

/** A whole report, as `--json` prints it. */
export interface Report extends Circumstances {
  readonly measures: readonly ReportedMeasure[];
  readonly claims: readonly ClaimResult[];
  /** One table for each axis; undefined without `--growth`. */
  readonly growth?: readonly GrowthReport[];
  /** One line for each regression. */
  readonly regressions: readonly string[];
}

/** Makes the report. */
export function makeReport(
  entrants: readonly Entrant[],
  circumstances: Circumstances,
  growth?: readonly GrowthReport[],
  duels: readonly Duel[] = [],
): Report {
  const measures = MEASURES.map((measure): ReportedMeasure => ({
    ...measure,
    figures: entrants.flatMap((entrant) => reportFigure(measure, entrant, entrants) ?? []),
  }));
  const regressions = measures.flatMap(({ title, figures }) =>
    figures.filter(({ versusBefore }) => versusBefore?.regression).map(({ contender, versusBefore }) =>
      `${contender}: ${title}: ${versusBefore?.median.toFixed(2)} times that of ${circumstances.against}`
    )
  );
  return {
    ...circumstances,
    measures: measures.filter(({ figures }) => figures.length > 0),
    claims: decideClaims(entrants, duels),
    ...(growth === undefined ? {} : { growth }),
    regressions,
  };
}

function reportFigure(
  measure: Measure & { readonly key: MeasureKey },
  entrant: Entrant,
  entrants: readonly Entrant[],
): ReportedFigure | undefined {
  const column = (of: Entrant): Rounds => of.rounds.map((figures) => figures[measure.key]);
  const ratiosTo = (base: Entrant | undefined): number[] =>
    base === undefined ? [] : pairedRatios(column(entrant), column(base));

  const values = column(entrant);
  const summary = summarize(values);
  if (summary === undefined) return undefined;
  const versusFloor = summarize(
    ratiosTo(entrants.find(({ floor, shape }) => floor && shape === entrant.shape)),
  );
  const versusKernel = summarize(ratiosTo(entrants.find(({ name }) => name === entrant.kernel)));
  const ratiosToBefore = ratiosTo(entrants.find(({ name }) => name === entrant.before));
  const versusBefore = summarize(ratiosToBefore);
  return {
    contender: entrant.name,
    ...summary,
    values: values.map((value) => value ?? null),
    ...(versusFloor === undefined ? {} : { versusFloor }),
    ...(versusKernel === undefined ? {} : { versusKernel }),
    ...(versusBefore === undefined ? {} : {
      versusBefore: {
        ...versusBefore,
        regression: measure.judged && isRegression(ratiosToBefore, measure.better),
      },
    }),
  };
}
