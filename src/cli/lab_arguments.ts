/**
 * `onion lab …`: the options and operands of its commands → one {@linkcode LabCommand}.
 *
 * @module
 */
import { validate } from "../config/validate.ts";
import { type Given, refuse } from "../config/values.ts";
import { ConfigError } from "../errors.ts";
import type { DemoOptions } from "../lab/demo.ts";
import { type Faults, NO_FAULTS, topology, VM } from "../lab/topology.ts";

/** What `onion lab` can be asked for. */
export type LabCommand =
  | { readonly verb: "up"; readonly faults: Faults }
  | { readonly verb: "exec"; readonly party: string; readonly command: readonly [string, ...string[]] }
  | { readonly verb: "demo" } & DemoOptions
  | { readonly verb: "down" };

/** Options that are given, by name. */
type Options<Name extends string> = { readonly [N in Name]?: Given };

/** The names of the parties, as `onion lab exec -n` takes them. */
export const PARTIES: readonly string[] = topology(NO_FAULTS).parties.map(({ name }) => name);

/**
 * `onion lab up`
 *
 * @throws {ConfigError} if the loss is no percentage
 */
export function readUp(
  { loss, deadRouter, smallMtu }: Options<"loss" | "deadRouter" | "smallMtu">,
): LabCommand {
  const faults = {
    loss: loss === undefined ? NO_FAULTS.loss : readPercent(loss),
    deadRouter: deadRouter !== undefined,
    smallMtu: smallMtu !== undefined,
  };
  return { verb: "up", faults };
}

/** From 0 to 100, to a hundredth: as fine as the lab's dice are. */
function readPercent(given: Given): number {
  const percent = /^\d+(\.\d{1,2})?%?$/.test(given.text) ? Number.parseFloat(given.text) : NaN;
  if (percent <= 100) return percent;
  throw refuse(given, "no percentage", "write a number from 0 to 100, e.g. 2.5");
}

/**
 * `onion lab exec`
 *
 * @throws {ConfigError} if there is no command, or no such party
 */
export function readExec({ namespace }: Options<"namespace">, operands: readonly string[]): LabCommand {
  const party = namespace === undefined ? VM : readParty(namespace);
  const [program, ...args] = operands;
  if (program === undefined) {
    throw new ConfigError("exec needs a command", "write e.g. onion lab exec -- ping www.csail.mit.edu");
  }
  return { verb: "exec", party, command: [program, ...args] };
}

function readParty(given: Given): string {
  // As `ip netns` lists it, or as the lab calls it.
  const name = given.text.replace(/^onion-/, "");
  if (PARTIES.includes(name)) return name;
  throw refuse(given, "nobody in the lab has this name", `choose one of ${PARTIES.join(", ")}`);
}

/**
 * `onion lab demo`
 *
 * @throws {ConfigError} if there is no stage, or a run of it would not take these options
 */
export function readDemo(
  { mermaid, json, ...ofRun }: Options<
    "stage" | "routers" | "hops" | "pcap" | "latency" | "json" | "mermaid"
  >,
): LabCommand {
  if (ofRun.stage === undefined) throw new ConfigError("demo needs a stage", "name one with --stage N");
  if (json !== undefined && mermaid !== undefined) {
    throw new ConfigError("--json and --mermaid are two forms of one thing", "leave one of the two out");
  }
  const form = json !== undefined ? "json" : mermaid !== undefined ? "mermaid" : "text";
  const { stage, routers, hops, latency, pcap } = validate(ofRun);
  return { verb: "demo", form, stage, routers, hops, latency, pcap };
}
