/**
 * The command table: every command with its options. It drives parser, help, man page and
 * completion. `arguments.ts` turns a parsed command line into a command.
 *
 * Only types are imported, because every start reads this table first.
 *
 * @module
 */
import type { Flag, Offers, RunOption } from "../config/options.ts";

/** A command, or a command of a command, such as `lab up`. */
export interface CommandRow {
  /** What to type after its name. */
  readonly usage?: string;
  /** What it does, in one line. */
  readonly help: string;
  /** A paragraph for its own page. */
  readonly about?: string;
  /** Command lines, each with its effect. */
  readonly examples?: readonly (readonly [line: string, does: string])[];
  /** Options of a run that it takes too. */
  readonly runOptions?: "all" | readonly RunOption[];
  /** Its own options. */
  readonly options?: Readonly<Record<string, Flag>>;
  /** Words that are not options. Without this, there are none. */
  readonly operands?: {
    /** At most one; or the first one and everything after it. */
    readonly count: "one" | "rest";
    readonly offers?: Offers;
  };
  /** Commands that its first word may name. Without operands, it must name one. */
  readonly commands?: Readonly<Record<string, CommandRow>>;
}

/** The shells whose completion scripts `onion completion` prints. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

const lab: Readonly<Record<string, CommandRow>> = {
  up: {
    usage: "[FAULT…]",
    help: "create the practice network: a VM, gateways, an internet of routers, and hosts",
    examples: [["sudo onion lab up --loss 10", "lose every tenth packet to the hosts"]],
    options: {
      loss: { metavar: "PERCENT", help: "lose this share of the packets to the hosts" },
      deadRouter: { help: "break the last router before CSAIL" },
      smallMtu: { help: "limit packets to CSAIL to 1280 bytes" },
    },
  },
  exec: {
    usage: "[-n PARTY] [--] COMMAND…",
    help: "run a command in the VM of the practice network",
    examples: [["sudo onion lab exec -- ping www.csail.mit.edu", "ping through the lab's internet"]],
    options: {
      namespace: {
        short: "-n",
        metavar: "PARTY",
        help: "run it in another party than the VM, e.g. gw1, net2, csail",
        offers: "parties",
      },
    },
    operands: { count: "rest" },
  },
  demo: {
    usage: "--stage N [--routers N] [--hops H]",
    help: "run a stage in the practice network, and show one ping on each link, and who can read what",
    examples: [["sudo onion lab demo --stage 6", "show what each of three routers can read"]],
    runOptions: ["stage", "routers", "hops", "latency", "pcap", "json"],
    options: { mermaid: { help: "print a Mermaid sequence diagram" } },
  },
  down: { help: "remove the practice network without a trace" },
};

/** Every command, in the order of the help. */
export const COMMANDS: Readonly<Record<string, CommandRow>> = {
  lab: { usage: Object.keys(lab).join("|"), help: "a practice network of network namespaces", commands: lab },
  doctor: {
    usage: "[--json]",
    help: "say what this host lacks for each stage, and how to fix it",
    about: "It changes nothing. It exits with 0 if every stage can run, else with 4.",
    options: { json: { help: "print one JSON object" } },
  },
  down: { help: "undo what dead runs left on this host" },
  completion: {
    usage: SHELLS.join("|"),
    help: "print a shell script that completes onion's command lines",
    examples: [
      ["source <(onion completion bash)", "complete in this bash; put it in ~/.bashrc to keep it"],
      ["source <(onion completion zsh)", "the same for zsh, in ~/.zshrc"],
      ["onion completion fish | source", "the same for fish, in ~/.config/fish/config.fish"],
    ],
    operands: { count: "rest", offers: SHELLS },
  },
  man: {
    help: "print the manual page",
    examples: [["onion man >/usr/local/share/man/man1/onion.1", "install the page for man onion"]],
  },
};

/** A run: a command line that names no command. */
export const RUN: CommandRow = {
  help: "run a stage until Ctrl+C",
  runOptions: "all",
  operands: { count: "one", offers: "files" },
  commands: COMMANDS,
};

/** A command that a command line names. */
export interface NamedCommand {
  /** Its full name, e.g. `onion lab up`. */
  readonly name: string;
  readonly row: CommandRow;
  /** The words after its name. */
  readonly words: readonly string[];
}

/** The flags that ask for the help. They override everything else on a command line. */
export const HELP: readonly [string, string] = ["--help", "-h"];

/** The flags that ask for the version, with or without other options. */
export const VERSION: readonly [string, string] = ["--version", "-V"];

/** Finds the command that a command line names, or a run. */
export function findCommand(argv: readonly string[]): NamedCommand {
  let [name, row, words] = ["onion", RUN, argv];
  for (;;) {
    const [word = ""] = words;
    const commands = row.commands ?? {};
    if (!Object.hasOwn(commands, word)) return { name, row, words };
    [name, row, words] = [`${name} ${word}`, commands[word]!, words.slice(1)];
  }
}

/** Whether a command line, if it is valid, runs a stage. It is not parsed for this. */
export function startsRun(argv: readonly string[]): boolean {
  const [word] = argv;
  // `help` and `router`, which the proxy starts, are in no list of commands.
  if (word === undefined || ["help", "router", ...Object.keys(COMMANDS)].includes(word)) return false;
  const end = argv.indexOf("--");
  const options = argv.slice(0, end < 0 ? argv.length : end);
  return !options.some((word) => [...HELP, ...VERSION, "--print-commands"].includes(word));
}
