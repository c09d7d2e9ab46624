/**
 * A diagnosis: what was found on a host, and which stages can run there.
 *
 * @module
 */
import { type Stage, STAGES } from "../config/stages.ts";

/**
 * How a finding is: as it must be; not, so that stages cannot run; worth knowing; not for us to
 * see.
 */
export type Mark = "ok" | "lacks" | "note" | "unknown";

/** One thing that was looked at. */
export interface Finding {
  /** What was looked at, in a word or two. */
  readonly name: string;
  readonly mark: Mark;
  /** How it is. */
  readonly says: string;
  /** The command, or the option, that mends it. */
  readonly mend?: string;
  /** The stages that it matters to. */
  readonly stages: readonly number[];
}

/** Everything that was found. */
export interface Diagnosis {
  readonly findings: readonly Finding[];
  readonly stages: readonly StageVerdict[];
}

/** Whether a stage can run. */
export interface StageVerdict {
  readonly stage: number;
  readonly canRun: boolean;
  /** Names of the findings that keep it from running. */
  readonly lacks: readonly string[];
}

/** Draws the conclusions. What could not be seen keeps no stage from running. */
export function conclude(findings: readonly Finding[], stages: readonly Stage[] = STAGES): Diagnosis {
  return {
    findings,
    stages: stages.map(({ number }) => {
      const lacking = findings.filter(({ mark, stages }) => mark === "lacks" && stages.includes(number));
      const lacks = [...new Set(lacking.map(({ name }) => name))];
      return { stage: number, canRun: lacks.length === 0, lacks };
    }),
  };
}
