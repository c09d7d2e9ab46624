/**
 * The command table: the words that a command line may begin with. Help, man page, completion and did-you-mean read it.
 *
 * @module
 */

/** One command word. */
export interface Word {
  /** What follows it. */
  readonly operands?: string;
  /** What it does, for the help; a word without help is not shown. */
  readonly help?: string;
}

/** The shells whose completion scripts `onion completion` prints. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** What `onion lab` does, word by word, in the order of the help. */
export const LAB_VERBS = {
  up: { operands: "[FAULT…]", help: "make it: a VM, gateways, an internet of routers, and hosts" },
  exec: { operands: "[-n PARTY] [--] COMMAND…", help: "run a command in its VM" },
  demo: {
    operands: "--stage N [--routers N] [--hops H]",
    help: "run a stage there, ping, and show one ping as it crosses each link, and who could read what",
  },
  down: { operands: "", help: "remove every trace of it" },
} as const;

/** Every command word, in the order of the help. */
export const WORDS: Readonly<Record<string, Word>> = {
  lab: { operands: Object.keys(LAB_VERBS).join("|"), help: "a practice network in network namespaces" },
  doctor: { operands: "[--json]", help: "say what this host lacks to run each stage, and what mends it" },
  down: { help: "undo whatever an earlier run left on this host" },
  completion: { operands: SHELLS.join("|"), help: "print a script that completes command lines of onion" },
  man: { help: "print the manual page" },
  help: {},
  // What the proxy starts: its settings come by environment and stdin. main.ts sees to it before anything else.
  router: {},
};

/** The words that a user may type. */
export function shownWords(): string[] {
  return Object.keys(WORDS).filter((word) => WORDS[word]?.help !== undefined);
}

/** Whether a flag that overrides all others is there. After `--` there are none. */
export function asksFor(argv: readonly string[], ...names: string[]): boolean {
  const end = argv.indexOf("--");
  return argv.slice(0, end < 0 ? argv.length : end).some((word) => names.includes(word));
}

/** Whether a command line is one that runs a stage, if it can be read. Said without reading it. */
export function startsRun(argv: readonly string[]): boolean {
  const [word] = argv;
  return word !== undefined && !Object.hasOwn(WORDS, word) &&
    !asksFor(argv, "--help", "-h", "--version", "-V", "--print-commands");
}
