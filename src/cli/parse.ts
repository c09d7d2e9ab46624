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
import { type Flag, FLAGS } from "../config/options.ts";
import { type Given, show } from "../config/values.ts";
import { ConfigError } from "../errors.ts";
import { nearest } from "./nearest.ts";
import type { CommandRow, NamedCommand } from "./words.ts";

/** The words after a command's name. */
export interface Parsed {
  /** The given options, by their names in the table. The value of a switch is `yes`. */
  readonly options: Readonly<Record<string, Given>>;
  readonly operands: readonly string[];
}

/** Every option of a command by name, in the order of the help. */
export function optionsOf(row: CommandRow): Readonly<Record<string, Flag>> {
  const { runOptions: names = [] } = row;
  if (names === "all") return FLAGS;
  return { ...Object.fromEntries(names.map((name) => [name, FLAGS[name]])), ...row.options };
}

/**
 * Parses the words after a command's name.
 *
 * @throws {ConfigError} naming the unexpected word, and the remedy
 */
export function parseWords({ name: command, row, words }: NamedCommand): Parsed {
  if (row.commands !== undefined && row.operands === undefined) {
    throw noCommand(command, row.commands, words[0]);
  }
  const known = Object.entries(optionsOf(row));
  const seeHelp = `see ${command} --help`;
  const options: Record<string, Given> = {};
  const operands: string[] = [];
  const { end } = optionWords(row, words);

  const addOperand = (word: string) => {
    const max = row.operands === undefined ? 0 : row.operands.count === "one" ? 1 : Infinity;
    if (operands.push(word) > max) throw new ConfigError(`unexpected argument ${show(word)}`, seeHelp);
  };
  for (let at = 0; at < end; at++) {
    const word = words[at]!;
    if (!isOption(word)) {
      addOperand(word);
      continue;
    }
    const [, dashed = word, inline] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
    const [name, option] = known.find(([, each]) => isCalled(each, dashed)) ?? [];
    if (name === undefined || option === undefined) {
      const near = nearestFlag(dashed, known.map(([, { flag }]) => flag));
      const remedy = near === undefined ? seeHelp : `did you mean ${near}? ${seeHelp}`;
      throw new ConfigError(`unknown option ${show(dashed)}`, remedy);
    }
    const { flag, metavar } = option;
    if (metavar === undefined && inline !== undefined) {
      throw new ConfigError(`${flag} takes no value, but got ${show(inline)}`, `write ${flag} alone`);
    }
    const text = metavar === undefined ? "yes" : inline ?? words[++at];
    if (text === undefined) throw new ConfigError(`${flag} needs a value`, `write ${flag} ${metavar}`);
    if (Object.hasOwn(options, name)) {
      throw new ConfigError(`${flag} is given twice`, "remove one of the two");
    }
    options[name] = { text, name: flag, at: "" };
  }
  words.slice(words[end] === "--" ? end + 1 : end).forEach(addOperand);
  return { options, operands };
}

/** The error of `onion lab` without a command, or with an unknown one. */
function noCommand(command: string, commands: object, word: string | undefined): ConfigError {
  const cause = word === undefined ? `${command} needs a command` : `${command} has no command ${show(word)}`;
  return new ConfigError(cause, `write ${command} ${Object.keys(commands).join("|")}`);
}

/**
 * Finds the end of the options: `--`, or the first operand if the operands may be anything.
 *
 * @returns `end`, the number of words before it, and the last option if its value is missing
 */
export function optionWords(
  row: CommandRow,
  words: readonly string[],
): { readonly end: number; readonly lacking: Flag | undefined } {
  const options = Object.values(optionsOf(row));
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === "--" || row.operands?.count === "rest" && !isOption(word)) {
      return { end: at, lacking: undefined };
    }
    const option = options.find((each) => isCalled(each, word));
    if (option?.metavar !== undefined && ++at === words.length) return { end: at, lacking: option };
  }
  return { end: words.length, lacking: undefined };
}

/** Whether one of these flags, which override everything else, is among the options. */
export function asksFor({ row, words }: NamedCommand, ...names: string[]): boolean {
  return words.slice(0, optionWords(row, words).end).some((word) => names.includes(word));
}

/** A single dash is an operand, as in many programs. */
function isOption(word: string): boolean {
  return word.startsWith("-") && word !== "-";
}

function isCalled({ flag, short }: Flag, dashed: string): boolean {
  return dashed === flag || dashed === short;
}

/** The flag that begins with the typed one, or else resembles it. */
function nearestFlag(dashed: string, flags: readonly string[]): string | undefined {
  const known = [...flags, "--help", "--version"].filter((flag) => flag !== dashed);
  return known.find((flag) => dashed.length > 3 && flag.startsWith(dashed)) ?? nearest(dashed, known, 2);
}
