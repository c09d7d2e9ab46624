/**
 * What a command line can ask for. `arguments.ts` makes one of these out of argv, and `main.ts` does it.
 *
 * @module
 */
import type { Settings } from "../config/settings.ts";
import type { LabCommand } from "./lab_arguments.ts";

/** One thing to do. */
export type Command =
  | { readonly kind: "run"; readonly settings: Settings }
  | { readonly kind: "lab"; readonly command: LabCommand }
  | { readonly kind: "doctor"; readonly json: boolean }
  | { readonly kind: "down" }
  /** Help, version, man page, completion: a text that was asked for. */
  | { readonly kind: "print"; readonly text: string }
  /** Nothing was asked for, so say what could be. */
  | { readonly kind: "usage"; readonly text: string };
