/**
 * `onion doctor`: what this host lacks for each stage, and how to fix it.
 *
 * @module
 */
import { STAGES } from "../config/stages.ts";
import { ExitCode } from "../errors.ts";
import { conclude, type Diagnosis } from "../host/diagnosis.ts";
import { oneLine } from "./report.ts";

/** Whose name is in the error where it cannot be loaded. */
const C_LIBRARY = "libc.so.6";

/** Characters of `unknown`. */
const LONGEST_MARK = 7;

/** Looks, and tells. */
export async function doctor({ json }: { readonly json: boolean }): Promise<ExitCode> {
  const diagnosis = await examine();
  console.log(json ? JSON.stringify(diagnosis) : diagnosisText(diagnosis));
  return diagnosis.stages.every(({ canRun }) => canRun) ? ExitCode.ok : ExitCode.hostLacks;
}

/** The diagnosis in a few lines: one for each finding, and one for each stage. */
export function diagnosisText({ findings, stages }: Diagnosis): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const found = findings.map(({ mark, name, says, mend }) => {
    const told = oneLine(mend === undefined ? says : `${says}; ${mend}`);
    return `${mark.padEnd(LONGEST_MARK)}  ${name.padEnd(width)}  ${told}`;
  });
  const verdicts = stages.map(({ stage, canRun, lacks }) =>
    `stage ${stage}: ${canRun ? "can run" : `cannot run: ${lacks.join(", ")}`}`
  );
  return [...found, "", ...verdicts].join("\n");
}

async function examine(): Promise<Diagnosis> {
  try {
    const [{ gatherFacts }, { diagnose }] = await Promise.all([
      import("../host/facts.ts"),
      import("../host/doctor.ts"),
    ]);
    return diagnose(await gatherFacts());
  } catch (error) {
    // What looks around calls the C library, and has loaded it by now, unless there is none.
    if (!(error instanceof Error) || !error.message.includes(C_LIBRARY)) throw error;
    return withoutLibc(error.message);
  }
}

/** What is left to say where nothing else can be looked at. */
export function withoutLibc(reason: string): Diagnosis {
  const stages = STAGES.map(({ number }) => number);
  const mend = "use a Linux with glibc, e.g. Debian";
  return conclude([{ name: "C library", mark: "lacks", says: reason, mend, stages }]);
}
