/**
 * Options and operands of `onion lab …` → one {@linkcode LabCommand}.
 *
 * @module
 */
import { validate } from "../config/validate.ts";
import { type Given, refuse } from "../config/values.ts";
import { ConfigError } from "../errors.ts";
import type { DemoOptions } from "../lab/demo.ts";
import { type Faults, NO_FAULTS, topology, VM } from "../lab/topology.ts";
import type { Parsed } from "./parse.ts";

/** What `onion lab` is to do. */
export type LabCommand =
  | { readonly verb: "up"; readonly faults: Faults }
  | { readonly verb: "exec"; readonly party: string; readonly command: readonly [string, ...string[]] }
  | { readonly verb: "demo" } & DemoOptions
  | { readonly verb: "down" };

type Options = Parsed["options"];

/** Names of the parties that `onion lab exec -n` accepts. */
export const PARTIES: readonly string[] = topology(NO_FAULTS).parties.map(({ name }) => name);

/**
 * Reads `onion lab up`.
 *
 * @throws {ConfigError} if the loss is not a percentage
 */
export function readUp({ loss, deadRouter, smallMtu }: Options): LabCommand {
  const faults: Faults = {
    loss: loss === undefined ? NO_FAULTS.loss : readPercent(loss),
    deadRouter: deadRouter !== undefined,
    smallMtu: smallMtu !== undefined,
  };
  return { verb: "up", faults };
}

/** Reads 0 to 100, with up to two decimals: the lab drops packets in units of 0.01 %. */
function readPercent(given: Given): number {
  const percent = /^\d+(\.\d{1,2})?%?$/.test(given.text) ? Number.parseFloat(given.text) : NaN;
  if (percent <= 100) return percent;
  throw refuse(given, "not a percentage", "write a number from 0 to 100, e.g. 2.5");
}

/**
 * Reads `onion lab exec`.
 *
 * @throws {ConfigError} if the command is missing or the party unknown
 */
export function readExec({ namespace }: Options, operands: readonly string[]): LabCommand {
  const party = namespace === undefined ? VM : readParty(namespace);
  const [program, ...args] = operands;
  if (program === undefined) {
    const remedy = "write e.g. onion lab exec -- ping www.csail.mit.edu";
    throw new ConfigError("onion lab exec needs a command", remedy);
  }
  return { verb: "exec", party, command: [program, ...args] };
}

function readParty(given: Given): string {
  // The name as in the lab, or as `ip netns` lists it.
  const name = given.text.replace(/^onion-/, "");
  if (PARTIES.includes(name)) return name;
  throw refuse(given, "the lab has no such party", `choose one of ${PARTIES.join(", ")}`);
}

/**
 * Reads `onion lab demo`.
 *
 * @throws {ConfigError} if the stage is missing, or an option is invalid for it
 */
export function readDemo({ mermaid, ...ofRun }: Options): LabCommand {
  if (ofRun.stage === undefined) {
    throw new ConfigError("onion lab demo needs a stage", "choose one with --stage N");
  }
  const { stage, routers, hops, latency, pcap, json } = validate(ofRun);
  if (json && mermaid !== undefined) {
    throw new ConfigError("--json and --mermaid exclude each other", "remove one of them");
  }
  const form = json ? "json" : mermaid !== undefined ? "mermaid" : "text";
  return { verb: "demo", form, stage, routers, hops, latency, pcap };
}
