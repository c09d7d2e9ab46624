/**
 * The words of a command line → options and operands, by the command and option tables. `config/`
 * validates the values, because a config file has the same ones.
 *
 * ```
 * --name value   --name=value   -n value   --switch   operand   -- -operand-with-a-dash
 * ```
 *
 * @module
 */
import { type Flag, flagOf, FLAGS } from "../config/options.ts";
import { type Given, show } from "../config/values.ts";
import { ConfigError } from "../errors.ts";
import { nearest } from "./nearest.ts";
import { type CommandRow, HELP, type NamedCommand, VERSION } from "./words.ts";

/** An option of a command, with its name in the table. */
interface NamedFlag extends Flag {
  readonly name: string;
  /** Its name on the command line, e.g. `--log-dir`. */
  readonly flag: string;
}

/** The words after a command's name. */
export interface Parsed {
  /** The given options, by their names in the table. The value of a switch is `yes`. */
  readonly options: Readonly<Record<string, Given>>;
  readonly operands: readonly string[];
  /** Number of words before the options end: at `--`, or at the command that `exec` runs. */
  readonly end: number;
  /** The last option, if its value is missing. */
  readonly lacking: NamedFlag | undefined;
  /** The first fault: it names the unexpected word, and the remedy. */
  readonly fault: ConfigError | undefined;
}

/** Every option of a command, in the order of the help. */
export function optionsOf({ runOptions = [], options = {} }: CommandRow): NamedFlag[] {
  const ofRun = runOptions === "all"
    ? FLAGS
    : Object.fromEntries(runOptions.map((name) => [name, FLAGS[name]]));
  const all = Object.entries<Flag>({ ...ofRun, ...options });
  return all.map(([name, option]) => ({ ...option, name, flag: flagOf(name) }));
}

/**
 * Parses the words after a command's name. It goes on after a fault, because completion reads
 * unfinished command lines.
 */
export function parseWords(command: NamedCommand): Parsed {
  const { row, words } = command;
  const known = optionsOf(row);
  const maxOperands = { none: 0, one: 1, rest: Infinity }[row.operands?.count ?? "none"];
  const seeHelp = `see ${command.name} --help`;
  const options: Record<string, Given> = {};
  const operands: string[] = [];
  const faults = row.commands !== undefined && row.operands === undefined ? [noCommand(command)] : [];
  const refuse = (message: string, remedy: string) => faults.push(new ConfigError(message, remedy));
  let lacking: NamedFlag | undefined;

  const addOperand = (word: string) => {
    if (operands.push(word) > maxOperands) refuse(`unexpected argument ${show(word)}`, seeHelp);
  };
  let at = 0;
  for (; at < words.length && words[at] !== "--"; at++) {
    const word = words[at]!;
    // A single dash is an operand, as in many programs.
    if (!word.startsWith("-") || word === "-") {
      if (row.operands?.count === "rest") break;
      addOperand(word);
      continue;
    }
    const [, dashed = word, inline] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
    const option = known.find(({ flag, short }) => dashed === flag || dashed === short);
    if (option === undefined) {
      const near = nearestFlag(dashed, known);
      const remedy = near === undefined ? seeHelp : `did you mean ${near}? ${seeHelp}`;
      refuse(`unknown option ${show(dashed)}`, remedy);
      continue;
    }
    const { name, flag, metavar } = option;
    if (metavar === undefined && inline !== undefined) {
      refuse(`${flag} takes no value, but got ${show(inline)}`, `write ${flag} alone`);
    }
    const text = metavar === undefined ? "yes" : inline ?? words[++at];
    if (text === undefined) {
      lacking = option;
      refuse(`${flag} needs a value`, `write ${flag} ${metavar}`);
      break;
    }
    if (Object.hasOwn(options, name)) refuse(`${flag} is given twice`, "remove one of the two");
    options[name] = { text, name: flag, at: "" };
  }
  words.slice(words[at] === "--" ? at + 1 : at).forEach(addOperand);
  return { options, operands, end: at, lacking, fault: faults[0] };
}

/** The error of `onion lab` without a command, or with an unknown one. */
function noCommand({ name, row, words: [word] }: NamedCommand): ConfigError {
  const cause = word === undefined ? `${name} needs a command` : `${name} has no command ${show(word)}`;
  return new ConfigError(cause, `write ${name} ${row.usage}`);
}

/** The flag that begins with the typed one, or else resembles it. */
function nearestFlag(dashed: string, options: readonly NamedFlag[]): string | undefined {
  const known = [...options.map(({ flag }) => flag), HELP[0], VERSION[0]].filter((flag) => flag !== dashed);
  return known.find((flag) => dashed.length > 3 && flag.startsWith(dashed)) ?? nearest(dashed, known, 2);
}
