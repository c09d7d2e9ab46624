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

/** Every command word, in the order of the help. */
export const WORDS: Readonly<Record<string, Word>> = {
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
