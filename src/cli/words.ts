/**
 * The command table: every command with its options, and how its words become a {@linkcode Command}. Parser, help, man
 * page and completion are made from it, so a command is added here, as a kind of {@linkcode Command}, and in `main.ts`.
 *
 * Nothing is imported but types, because a start reads this table first. A command imports what it needs when it is read.
 *
 * @module
 */
import type { Flag, Offers, RunOption } from "../config/options.ts";
import type { Command } from "./command.ts";
import type { Parsed } from "./parse.ts";

/** One command, or one command of a command. */
export interface CommandRow<Own extends string = string, OfRun extends RunOption = RunOption> {
  /** What follows its name. */
  readonly usage?: string;
  /** What it does, in a line; a command without it is not shown. */
  readonly help?: string;
  /** What its own page says besides. */
  readonly about?: string;
  /** Command lines, each with what it does. */
  readonly examples?: readonly (readonly [line: string, does: string])[];
  /** Those options of a run that it takes too. */
  readonly runOptions?: readonly OfRun[];
  /** The options of its own. */
  readonly options?: Readonly<Record<Own, Flag>>;
  /** The words that are no options: none where this is left out. */
  readonly operands?: {
    /** At most one, or as many as there are: then the first one ends the options, and the others may be anything. */
    readonly count: "one" | "rest";
    readonly offers?: Offers;
  };
  /** The commands that its first word may name. */
  readonly commands?: Readonly<Record<string, CommandRow>>;
  /** What its words ask for; left out where that takes a further command, and for a run. */
  read?(parsed: Parsed<Own | OfRun>): Command | Promise<Command>;
}

/** Types what a row reads by the options that it has. */
function row<Own extends string = never, OfRun extends RunOption = never>(
  row: CommandRow<Own, OfRun>,
): CommandRow {
  return row;
}

/** The shells whose completion scripts `onion completion` prints. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

const lab = {
  up: row({
    usage: "[FAULT…]",
    help: "make it: a VM, gateways, an internet of routers, and hosts",
    examples: [["sudo onion lab up --loss 10", "every tenth packet to the hosts is lost"]],
    options: {
      loss: {
        flag: "--loss",
        metavar: "PERCENT",
        help: "a router loses so many of the packets on their way to the hosts",
      },
      deadRouter: { flag: "--dead-router", help: "the last router before CSAIL is out of order" },
      smallMtu: { flag: "--small-mtu", help: "packets to CSAIL may have 1280 bytes" },
    },
    read: async ({ options }) => (await import("./lab_arguments.ts")).readUp(options),
  }),
  exec: row({
    usage: "[-n PARTY] [--] COMMAND…",
    help: "run a command in its VM",
    examples: [["sudo onion lab exec -- ping www.csail.mit.edu", "ping, by the lab's own internet"]],
    options: {
      namespace: {
        flag: "--namespace",
        short: "-n",
        metavar: "PARTY",
        help: "not in the VM, but in another party, e.g. gw1, net2, csail",
        offers: "parties",
      },
    },
    operands: { count: "rest" },
    read: async (parsed) => (await import("./lab_arguments.ts")).readExec(parsed),
  }),
  demo: row({
    usage: "--stage N [--routers N] [--hops H]",
    help: "run a stage there, ping, and show one ping as it crosses each link, and who could read what",
    examples: [["sudo onion lab demo --stage 6", "three routers, and what each of them could read"]],
    runOptions: ["stage", "routers", "hops"],
    options: {
      pcap: {
        flag: "--pcap",
        metavar: "DIR",
        help: "keep what passed each link, and what each party saw, in pcapng files there, for Wireshark",
        offers: "directories",
      },
      latency: {
        flag: "--latency",
        metavar: "MS",
        help: "each link of the onion takes so long, as if the routers were far away; a run takes it, too",
      },
      mermaid: { flag: "--mermaid", help: "as a Mermaid sequence diagram" },
      json: { flag: "--json", help: "as JSON lines, an object for each thing that passed" },
    },
    read: async ({ options }) => (await import("./lab_arguments.ts")).readDemo(options),
  }),
  down: row({
    help: "remove every trace of it",
    read: () => ({ kind: "lab", command: { verb: "down" } }),
  }),
};

/** Every command word, in the order of the help. */
export const COMMANDS: Readonly<Record<string, CommandRow>> = {
  lab: row({
    usage: Object.keys(lab).join("|"),
    help: "a practice network in network namespaces",
    commands: lab,
  }),
  doctor: row({
    usage: "[--json]",
    help: "say what this host lacks to run each stage, and what mends it",
    about: "It changes nothing. The exit status is 0 if every stage can run, else 4.",
    options: { json: { flag: "--json", help: "print one JSON object" } },
    read: ({ options }) => ({ kind: "doctor", json: options.json !== undefined }),
  }),
  down: row({
    help: "undo whatever an earlier run left on this host",
    read: () => ({ kind: "down" }),
  }),
  completion: row({
    usage: SHELLS.join("|"),
    help: "print a script that completes command lines of onion",
    examples: [
      ["source <(onion completion bash)", "complete in this shell; ~/.bashrc may say so, too"],
      ["source <(onion completion zsh)", "the same for zsh and ~/.zshrc"],
      ["onion completion fish | source", "the same for fish and ~/.config/fish/config.fish"],
    ],
    operands: { count: "rest", offers: SHELLS },
    read: async ({ operands }) => ({
      kind: "print",
      text: (await import("./completion.ts")).completion(operands),
    }),
  }),
  man: row({
    help: "print the manual page",
    examples: [["onion man >/usr/local/share/man/man1/onion.1", "then man onion shows it"]],
    read: async () => ({ kind: "print", text: (await import("./man.ts")).manPage() }),
  }),
  // Prints the page of the command after it, as `--help` does.
  help: {},
  // What the proxy starts: its settings come by environment and stdin. main.ts sees to it before anything else.
  router: {},
};

/** A run: what a command line asks for that names no command. */
export const RUN: CommandRow = {
  operands: { count: "one", offers: "files" },
  commands: COMMANDS,
};

/** A command as a command line names it. */
export interface NamedCommand {
  /** The words that name it, with the program's, e.g. `onion lab up`. */
  readonly name: string;
  readonly row: CommandRow;
  /** The words after those. */
  readonly words: readonly string[];
}

/** The command that a command line names, or a run. */
export function findCommand(argv: readonly string[]): NamedCommand {
  let [name, row, words] = ["onion", RUN, argv];
  for (;;) {
    const [word = ""] = words;
    const commands = row.commands ?? {};
    if (!Object.hasOwn(commands, word)) return { name, row, words };
    [name, row, words] = [`${name} ${word}`, commands[word]!, words.slice(1)];
  }
}

/** The commands that are shown. */
export function shownCommands(row: CommandRow): [word: string, row: CommandRow & { help: string }][] {
  return Object.entries(row.commands ?? {}).flatMap(([word, row]) =>
    row.help === undefined ? [] : [[word, { ...row, help: row.help }]]
  );
}

/** Whether a command line is one that runs a stage, if it can be read. Said without reading it. */
export function startsRun(argv: readonly string[]): boolean {
  const [word] = argv;
  const end = argv.indexOf("--");
  return word !== undefined && !Object.hasOwn(COMMANDS, word) &&
    !argv.slice(0, end < 0 ? argv.length : end).some((word) =>
      ["--help", "-h", "--version", "-V", "--print-commands"].includes(word)
    );
}
