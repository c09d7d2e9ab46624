/**
 * Readers of option values, one for each kind. A reader returns the value, or throws a
 * {@linkcode ConfigError} that names the option as the user wrote it, and the remedy.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { Range } from "./stages.ts";

/** A value as the user wrote it, and its place. */
export interface Given {
  readonly text: string;
  /** The option's name in that place: `--routers` or `num_routers`. */
  readonly name: string;
  /** Prefix for messages: `lab.conf:3: ` for a file, empty for the command line. */
  readonly at: string;
}

/** Makes text safe for a message: short, one line, no control characters, quoted if necessary. */
export function show(text: string): string {
  if (/^[\x21-\x7e]{1,60}$/.test(text)) return text;
  const short = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  // JSON keeps some of these, which could reverse or overwrite text on the terminal.
  const escape = (character: string) => `\\u{${character.codePointAt(0)!.toString(16)}}`;
  return JSON.stringify(short).replace(/[\p{C}\u2028\u2029]/gu, escape);
}

/** Makes the error for an invalid value. */
export function refuse(given: Given, reason: string, remedy: string): ConfigError {
  return new ConfigError(`${given.at}${given.name} ${show(given.text)}: ${reason}`, remedy);
}

/**
 * Reads a number of things.
 *
 * @param has what the error says before the range, e.g. `stage 4 has`
 * @param noun the thing, e.g. `router`
 */
export function readCount(given: Given, { min, max }: Range, has: string, noun: string): number {
  const nouns = max === 1 ? noun : `${noun}s`;
  const amount = min === max ? `exactly ${min}` : `${min} to ${max}`;
  return readNumber(given, { min, max }, `${has} ${amount} ${nouns}`);
}

/**
 * Reads a whole number.
 *
 * @param says what the error says. Unless given, it tells a word from a number out of range
 */
export function readNumber(given: Given, { min, max }: Range, says?: string): number {
  const number = wholeNumber(given.text);
  if (number >= min && number <= max) return number;
  const reason = says ?? (Number.isNaN(number) ? "not a whole number" : "out of range");
  if (min === max) throw refuse(given, reason, `leave it out, or write ${given.name} ${min}`);
  throw refuse(given, reason, `choose a number from ${min} to ${max}`);
}

/** The value of decimal digits, or NaN. */
export function wholeNumber(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : NaN;
}

/** Reads the name of a directory. The caller checks whether the directory exists. */
export function readDirectory(given: Given): string {
  if (given.text === "") throw refuse(given, "a directory needs a name", "write . for the current directory");
  return given.text;
}

/**
 * Reads one of several words.
 *
 * @param what what the error calls such a word, e.g. `level`
 */
export function readWord<Word extends string>(given: Given, words: readonly Word[], what: string): Word {
  const word = words.find((each) => each === given.text);
  if (word === undefined) throw refuse(given, `no such ${what}`, `choose one of ${words.join(", ")}`);
  return word;
}
