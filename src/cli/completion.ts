/**
 * `onion completion SHELL`: the script that a shell loads, and, with the words of a command line after it, what the
 * script asks for: how the last of them could go on.
 *
 * @module
 */
import { bash, fish, type ShellCompletion, zsh } from "@optique/core/completion";
import { show } from "../config/values.ts";
import { ConfigError } from "../errors.ts";
import { suggestLab } from "./lab_arguments.ts";
import { type Suggestion, suggestSync, text } from "./optique.ts";
import { DOCTOR, NOTHING, runParser } from "./parse.ts";
import { SHELLS, shownWords, WORDS } from "./words.ts";

const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], ShellCompletion>> = { bash, zsh, fish };

/**
 * What `onion completion` prints.
 *
 * @param words the shell, then the command line so far, the word under the cursor last
 * @throws {ConfigError} if there is no such shell
 */
export function completion([name, ...line]: readonly string[]): string {
  const remedy = `write onion completion ${SHELLS.join("|")}`;
  if (name === undefined) throw new ConfigError("completion needs the name of a shell", remedy);
  const shell = SHELLS.find((each) => each === name);
  if (shell === undefined) throw new ConfigError(`no completion for ${show(name)}`, remedy);
  const [first, ...rest] = line;
  if (first === undefined) return SCRIPTS[shell].generateScript("onion", ["completion", shell]).trim();
  return [...SCRIPTS[shell].encodeSuggestions(suggestions([first, ...rest]))].join("");
}

function suggestions(line: readonly [string, ...string[]]): Suggestion[] {
  const [first, second, ...rest] = line;
  if (second === undefined) {
    const words = shownWords().map((word) => literal(word, WORDS[word]?.help ?? ""));
    const flags = [literal("--help", "print the help"), literal("--version", "print the version")];
    return [
      ...[...words, ...flags].filter((each) => each.text.startsWith(first)),
      ...suggestSync(runParser(), line),
    ];
  }
  if (first === "completion") {
    return rest.length > 0
      ? []
      : SHELLS.filter((each) => each.startsWith(second)).map((each) => literal(each, ""));
  }
  if (first === "lab") return suggestLab([second, ...rest]);
  if (first === "doctor") return [...suggestSync(DOCTOR, [second, ...rest])];
  if (Object.hasOwn(WORDS, first)) return [...suggestSync(NOTHING, [second, ...rest])];
  return [...suggestSync(runParser(), line)];
}

function literal(word: string, help: string) {
  return { kind: "literal", text: word, ...(help !== "" && { description: [text(help)] }) } as const;
}
