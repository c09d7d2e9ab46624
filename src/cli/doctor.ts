/**
 * `onion doctor`: what this host lacks for each stage, and how to fix it.
 *
 * @module
 */
import { STAGES } from "../config/stages.ts";
import { ExitCode } from "../errors.ts";
import { conclude, type Diagnosis } from "../host/diagnosis.ts";
import { oneLine } from "./report.ts";

/** The C library; its name is in the error if it cannot be loaded. */
const C_LIBRARY = "libc.so.6";

/** Width of the longest mark, `unknown`. */
const MARK_WIDTH = 7;

/** Examines this host and prints the diagnosis. */
export async function doctor({ json }: { readonly json: boolean }): Promise<ExitCode> {
  const diagnosis = await examine();
  console.log(json ? JSON.stringify(diagnosis) : diagnosisText(diagnosis));
  return diagnosis.stages.every(({ canRun }) => canRun) ? ExitCode.ok : ExitCode.hostLacks;
}

/** The diagnosis as text: a line for each finding and each stage. */
export function diagnosisText({ findings, stages }: Diagnosis): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const found = findings.map(({ mark, name, says, mend }) => {
    const told = oneLine(mend === undefined ? says : `${says}; ${mend}`);
    return `${mark.padEnd(MARK_WIDTH)}  ${name.padEnd(width)}  ${told}`;
  });
  const verdicts = stages.map(({ stage, canRun, lacks }) =>
    `stage ${stage}: ${canRun ? "can run" : `cannot run: ${lacks.join(", ")}`}`
  );
  return [...found, "", ...verdicts].join("\n");
}

async function examine(): Promise<Diagnosis> {
  try {
    const { gatherFacts } = await import("../host/facts.ts");
    const { diagnose } = await import("../host/doctor.ts");
    return diagnose(await gatherFacts());
  } catch (error) {
    // The examination calls the C library, so it fails here if there is none.
    if (!(error instanceof Error) || !error.message.includes(C_LIBRARY)) throw error;
    return withoutLibc(error.message);
  }
}

/** The diagnosis of a host without glibc, where nothing else can be examined. */
export function withoutLibc(reason: string): Diagnosis {
  const stages = STAGES.map(({ number }) => number);
  const mend = "use a Linux with glibc, e.g. Debian";
  return conclude([{ name: "C library", mark: "lacks", says: reason, mend, stages }]);
}
