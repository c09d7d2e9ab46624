/**
 * `onion lab …`: the words of the command line → one {@linkcode LabCommand}, and what the help says of them.
 *
 * @module
 */
import { FLAGS } from "../config/options.ts";
import { validate } from "../config/validate.ts";
import { type Given, refuse, show } from "../config/values.ts";
import { ConfigError } from "../errors.ts";
import type { DemoOptions } from "../lab/demo.ts";
import { type Faults, NO_FAULTS, topology, VM } from "../lab/topology.ts";
import { type Suggestion, suggestSync, text } from "./optique.ts";
import { field, inAnyOrder, NOTHING, parseWords } from "./parse.ts";
import { LAB_VERBS } from "./words.ts";

/** What `onion lab` can be asked for. */
export type LabCommand =
  | { readonly verb: "up"; readonly faults: Faults }
  | { readonly verb: "exec"; readonly party: string; readonly command: readonly [string, ...string[]] }
  | { readonly verb: "demo" } & DemoOptions
  | { readonly verb: "down" };

/** The flags of the lab's own, in the order of the help. */
const LAB_FLAGS = {
  loss: {
    flag: "--loss",
    metavar: "PERCENT",
    help: "up: a router loses so many of the packets on their way to the hosts",
  },
  deadRouter: { flag: "--dead-router", help: "up: the last router before CSAIL is out of order" },
  smallMtu: { flag: "--small-mtu", help: "up: packets to CSAIL may have 1280 bytes" },
  namespace: {
    flag: "--namespace",
    short: "-n",
    metavar: "PARTY",
    help: "exec: not in the VM, but in another party, e.g. gw1, net2, csail",
    offers: topology(NO_FAULTS).parties.map(({ name }) => name),
  },
  pcap: {
    flag: "--pcap",
    metavar: "DIR",
    help: "demo: keep what passed each link, and what each party saw, in pcapng files there, for Wireshark",
    offers: "directories",
  },
  latency: {
    flag: "--latency",
    metavar: "MS",
    help: "demo: each link of the onion takes so long, as if the routers were far away; a run takes it, too",
  },
  mermaid: { flag: "--mermaid", help: "demo: as a Mermaid sequence diagram" },
  json: { flag: "--json", help: "demo: as JSON lines, an object for each thing that passed" },
} as const;

const UP = inAnyOrder({
  loss: field(LAB_FLAGS.loss),
  deadRouter: field(LAB_FLAGS.deadRouter),
  smallMtu: field(LAB_FLAGS.smallMtu),
});
const EXEC = inAnyOrder({ namespace: field(LAB_FLAGS.namespace) });
const DEMO = inAnyOrder({
  stage: field(FLAGS.stage),
  routers: field(FLAGS.routers),
  hops: field(FLAGS.hops),
  pcap: field(LAB_FLAGS.pcap),
  latency: field(LAB_FLAGS.latency),
  json: field(LAB_FLAGS.json),
  mermaid: field(LAB_FLAGS.mermaid),
});

/** What the help says, beside the usage. */
export const LAB_HELP: readonly (readonly [term: string, explanation: string])[] = [
  ...Object.entries(LAB_VERBS).map(([verb, { operands, help }]) =>
    [["lab", verb, operands].filter(Boolean).join(" "), help] as const
  ),
  ...Object.values<{ flag: string; short?: string; metavar?: string; help: string }>(LAB_FLAGS).map(
    ({ flag, short, metavar, help }) =>
      [[[short, flag].filter(Boolean).join(", "), metavar].filter(Boolean).join(" "), help] as const,
  ),
];

/**
 * Reads the words after `lab`.
 *
 * @returns the command, or nothing where its help is asked for
 * @throws {ConfigError} that names the word which cannot be taken, and the remedy
 */
export function parseLab([verb, ...words]: readonly string[]): LabCommand | undefined {
  // What stands behind the command of `exec` is the command's, `--help` too.
  const [own, command] = verb === "exec" ? splitCommand(words) : [words, []];
  if ([verb, ...own].some((word) => word === "--help" || word === "-h")) return undefined;
  switch (verb) {
    case "up":
      return { verb, faults: readFaults(parseWords(UP, own)) };
    case "exec":
      return readExec(parseWords(EXEC, own).namespace, command);
    case "demo":
      return readDemo(parseWords(DEMO, own));
    case "down":
      parseWords(NOTHING, own);
      return { verb };
    default: {
      const verbs = Object.keys(LAB_VERBS).join("|");
      const cause = verb === undefined ? "lab needs to be told what to do" : `no ${show(verb)} of the lab`;
      throw new ConfigError(cause, `write onion lab ${verbs}`);
    }
  }
}

/** How the words after `lab` could go on. */
export function suggestLab(words: readonly [string, ...string[]]): Suggestion[] {
  const [verb, word, ...rest] = words;
  if (word === undefined) {
    return Object.entries(LAB_VERBS).filter(([name]) => name.startsWith(verb)).map(([name, { help }]) => ({
      kind: "literal",
      text: name,
      description: [text(help)],
    }));
  }
  const parsers = { up: UP, exec: EXEC, demo: DEMO, down: NOTHING } as const;
  return Object.hasOwn(parsers, verb)
    ? [...suggestSync(parsers[verb as keyof typeof parsers], [word, ...rest])]
    : [];
}

/** The words of `exec` itself, and the command that begins behind `--` or with the first word that is no flag. */
function splitCommand(words: readonly string[]): [own: readonly string[], command: readonly string[]] {
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === "--") return [words.slice(0, at), words.slice(at + 1)];
    if (!word.startsWith("-")) return [words.slice(0, at), words.slice(at)];
    const { flag, short } = LAB_FLAGS.namespace;
    if (word === flag || word === short) at++;
  }
  return [words, []];
}

function readFaults(
  { loss, deadRouter, smallMtu }: Record<"loss" | "deadRouter" | "smallMtu", Given | undefined>,
) {
  return {
    loss: loss === undefined ? NO_FAULTS.loss : readPercent(loss),
    deadRouter: deadRouter !== undefined,
    smallMtu: smallMtu !== undefined,
  };
}

/** From 0 to 100, to a hundredth: as fine as the lab's dice are. */
function readPercent(given: Given): number {
  const percent = /^\d+(\.\d{1,2})?%?$/.test(given.text) ? Number.parseFloat(given.text) : NaN;
  if (percent <= 100) return percent;
  throw refuse(given, "no percentage", "write a number from 0 to 100, e.g. 2.5");
}

function readExec(namespace: Given | undefined, command: readonly string[]): LabCommand {
  const party = namespace === undefined ? VM : readParty(namespace);
  const [program, ...args] = command;
  if (program === undefined) {
    throw new ConfigError("exec needs a command", "write e.g. onion lab exec -- ping www.csail.mit.edu");
  }
  return { verb: "exec", party, command: [program, ...args] };
}

function readParty(given: Given): string {
  // As `ip netns` lists it, or as the lab calls it.
  const name = given.text.replace(/^onion-/, "");
  const parties = LAB_FLAGS.namespace.offers;
  if (parties.includes(name)) return name;
  throw refuse(given, "nobody in the lab has this name", `choose one of ${parties.join(", ")}`);
}

function readDemo(
  { stage, json, mermaid, ...others }: Record<
    "stage" | "routers" | "hops" | "pcap" | "latency" | "json" | "mermaid",
    Given | undefined
  >,
): LabCommand {
  if (stage === undefined) throw new ConfigError("demo needs a stage", "name one with --stage N");
  if (json !== undefined && mermaid !== undefined) {
    throw new ConfigError("--json and --mermaid are two forms of one thing", "leave one of the two out");
  }
  const form = json !== undefined ? "json" : mermaid !== undefined ? "mermaid" : "text";
  // As a run of the stage would take them.
  const said = Object.entries({ stage, ...others }).filter(([, given]) => given !== undefined);
  const { stage: is, routers, hops, latency, pcap } = validate(Object.fromEntries(said));
  return { verb: "demo", form, stage: is, routers, hops, latency, pcap };
}
