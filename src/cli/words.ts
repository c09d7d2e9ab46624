/**
 * The command table: every command with its options. Parser, help, man page and completion are made from it. What a
 * command's words ask for is read in `arguments.ts`.
 *
 * Nothing is imported but types, because a start reads this table first.
 *
 * @module
 */
import type { Flag, Offers, RunOption } from "../config/options.ts";

/** One command, or one command of a command. */
export interface CommandRow {
  /** What follows its name. */
  readonly usage?: string;
  /** What it does, in a line. */
  readonly help: string;
  /** What its own page says besides. */
  readonly about?: string;
  /** Command lines, each with what it does. */
  readonly examples?: readonly (readonly [line: string, does: string])[];
  /** Those options of a run that it takes too. */
  readonly runOptions?: "all" | readonly RunOption[];
  /** The options of its own. */
  readonly options?: Readonly<Record<string, Flag>>;
  /** The words that are no options: none where this is left out. */
  readonly operands?: {
    /** At most one, or as many as there are: then the first one ends the options, and the others may be anything. */
    readonly count: "one" | "rest";
    readonly offers?: Offers;
  };
  /** The commands that its first word may name; without operands, it must name one. */
  readonly commands?: Readonly<Record<string, CommandRow>>;
}

/** The shells whose completion scripts `onion completion` prints. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

const lab: Readonly<Record<string, CommandRow>> = {
  up: {
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
  },
  exec: {
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
  },
  demo: {
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
  },
  down: {
    help: "remove every trace of it",
  },
};

/** Every command word, in the order of the help. */
export const COMMANDS: Readonly<Record<string, CommandRow>> = {
  lab: {
    usage: Object.keys(lab).join("|"),
    help: "a practice network in network namespaces",
    commands: lab,
  },
  doctor: {
    usage: "[--json]",
    help: "say what this host lacks to run each stage, and what mends it",
    about: "It changes nothing. The exit status is 0 if every stage can run, else 4.",
    options: { json: { flag: "--json", help: "print one JSON object" } },
  },
  down: {
    help: "undo whatever an earlier run left on this host",
  },
  completion: {
    usage: SHELLS.join("|"),
    help: "print a script that completes command lines of onion",
    examples: [
      ["source <(onion completion bash)", "complete in this shell; ~/.bashrc may say so, too"],
      ["source <(onion completion zsh)", "the same for zsh and ~/.zshrc"],
      ["onion completion fish | source", "the same for fish and ~/.config/fish/config.fish"],
    ],
    operands: { count: "rest", offers: SHELLS },
  },
  man: {
    help: "print the manual page",
    examples: [["onion man >/usr/local/share/man/man1/onion.1", "then man onion shows it"]],
  },
};

/** Words that begin a command line, too, and are not shown: `help COMMAND`, and what the proxy starts its routers by. */
const HIDDEN = ["help", "router"];

/** A run: what a command line asks for that names no command. */
export const RUN: CommandRow = {
  help: "run a stage until Ctrl+C",
  runOptions: "all",
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

/** Whether a command line is one that runs a stage, if it can be read. Said without reading it. */
export function startsRun(argv: readonly string[]): boolean {
  const [word] = argv;
  const end = argv.indexOf("--");
  return word !== undefined && !Object.hasOwn(COMMANDS, word) && !HIDDEN.includes(word) &&
    !argv.slice(0, end < 0 ? argv.length : end).some((word) =>
      ["--help", "-h", "--version", "-V", "--print-commands"].includes(word)
    );
}
