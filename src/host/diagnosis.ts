/**
 * A diagnosis: what was found on a host, and which stages can run there.
 *
 * @module
 */
import { type Stage, STAGES } from "../config/stages.ts";

/**
 * The verdict of a finding: all right; the host lacks something, so stages cannot run; worth
 * knowing; or not visible to us.
 */
type Mark = "ok" | "lacks" | "note" | "unknown";

/** The result of one check. */
export interface Finding {
  /** What was checked, in a word or two. */
  readonly name: string;
  readonly mark: Mark;
  /** The result, in words. */
  readonly says: string;
  /** The command or option that fixes it. */
  readonly mend?: string;
  /** The stages that it matters to. */
  readonly stages: readonly number[];
}

/** All findings, and what follows for each stage. */
export interface Diagnosis {
  readonly findings: readonly Finding[];
  readonly stages: readonly StageVerdict[];
}

/** Whether a stage can run. */
interface StageVerdict {
  readonly stage: number;
  readonly canRun: boolean;
  /** The names of the findings that prevent it from running. */
  readonly lacks: readonly string[];
}

/** Draws the conclusions. A finding that is not visible to us prevents no stage from running. */
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
