import { ExitCode, OperatorError } from "../errors.ts";
export type DemoForm = "text" | "json" | "mermaid";
export function demo(..._: unknown[]): Promise<ExitCode> {
  throw new OperatorError("the demo is not in this version", "use lab up and lab exec");
}
