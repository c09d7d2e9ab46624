/**
 * The classic config file:
 *
 * ```
 * # a comment needs its own line
 * stage 5
 * num_routers 4
 * minitor_hops 3
 * ```
 *
 * A file sets the same options as flags do. {@linkcode validate} checks their values.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { RawOptions } from "./options.ts";
import { LAST_STAGE } from "./stages.ts";
import { type Given, show } from "./values.ts";

/** The words that may begin a line, the option that each sets, and its first stage. */
export const WORDS = {
  stage: { option: "stage", from: 1 },
  num_routers: { option: "routers", from: 1 },
  minitor_hops: { option: "hops", from: 5 },
  // Sets an option from stage 9 on. Before, a file with this word is refused because of its stage.
  die_after: { option: undefined, from: LAST_STAGE },
} as const satisfies Record<string, { option: keyof RawOptions | undefined; from: number }>;

type Word = keyof typeof WORDS;

/** The value that a line gives. */
interface Line extends Given {
  /** Line number, from 1. */
  readonly line: number;
}

/** A config file has a few lines. A larger file is not a config file. */
const MAX_BYTES = 64 * 1024;

/**
 * Reads a classic config file.
 *
 * @param path its name; a pipe works too
 * @param absent remedy if the file does not exist
 * @throws {ConfigError} naming file, line and reason
 */
export async function readConfigFile(path: string, absent: string): Promise<RawOptions> {
  return parseConfigFile(decode(await readAll(path, absent), path), path);
}

/**
 * Reads the text of a classic config file.
 *
 * @param path its name for error messages
 * @throws {ConfigError} naming file, line and reason
 */
export function parseConfigFile(text: string, path: string): RawOptions {
  const given = new Map<Word, Line>();
  for (const [index, fields] of text.split("\n").map(fieldsOf).entries()) {
    const [word, value, ...rest] = fields;
    if (word === undefined || word.startsWith("#")) continue;

    const line = index + 1;
    const at = `${show(path)}:${line}: `;
    if (!isWord(word)) {
      throw new ConfigError(
        `${at}unknown word ${show(word)}`,
        `a line begins with #, ${listOf(Object.keys(WORDS))}`,
      );
    }
    if (value === undefined) throw new ConfigError(`${at}${word} has no value`, `write ${word} and a number`);
    if (rest.length > 0) {
      throw new ConfigError(
        `${at}${word} ${show(value)} is followed by ${show(rest.join(" "))}`,
        "a line is a word and a number; a comment needs its own line",
      );
    }
    const before = given.get(word);
    if (before !== undefined) {
      throw new ConfigError(`${at}${word} is already in line ${before.line}`, "remove one of the two lines");
    }
    given.set(word, { text: value, name: word, at, line });
  }
  return rawOptions(given, path);
}

/** Checks each line against the stage, which may stand anywhere in the file. */
function rawOptions(given: ReadonlyMap<Word, Line>, path: string): RawOptions {
  const stage = given.get("stage");
  if (stage === undefined) {
    throw new ConfigError(`${show(path)}: no line sets the stage`, "add a line like: stage 2");
  }
  const raw: { -readonly [Name in keyof RawOptions]: RawOptions[Name] } = {};
  for (const [word, value] of given) {
    const { option, from } = WORDS[word];
    if (Number(stage.text) < from) {
      const stages = from === LAST_STAGE ? `is for stage ${from}` : `is for stages ${from} to ${LAST_STAGE}`;
      throw new ConfigError(
        `${value.at}${word} ${stages}, but line ${stage.line} says stage ${show(stage.text)}`,
        "remove this line",
      );
    }
    if (option !== undefined) raw[option] = value;
  }
  return raw;
}

function isWord(text: string): text is Word {
  return Object.hasOwn(WORDS, text);
}

/** Splits a line at white space, which includes the carriage return of a Windows file. */
function fieldsOf(line: string): string[] {
  return line.split(/\s+/).filter((field) => field !== "");
}

function listOf(words: readonly string[]): string {
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** Reads a file, but refuses one that is too large or, like /dev/zero, endless. */
async function readAll(path: string, absent: string): Promise<Uint8Array> {
  try {
    using file = await Deno.open(path);
    const bytes = new Uint8Array(MAX_BYTES + 1);
    let length = 0;
    while (length < bytes.length) {
      const count = await file.read(bytes.subarray(length));
      if (count === null) return bytes.subarray(0, length);
      length += count;
    }
  } catch (cause) {
    throw unreadable(path, absent, cause);
  }
  throw new ConfigError(
    `${show(path)} is larger than the ${MAX_BYTES / 1024} KiB that a config file may have`,
    "name a config file",
  );
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (!text.includes("\0")) return text;
  } catch {
    // Not UTF-8, so not a text file.
  }
  throw new ConfigError(`${show(path)} is not a text file`, "name a config file");
}

function unreadable(path: string, absent: string, cause: unknown): ConfigError {
  if (cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory) {
    return new ConfigError(`there is no file ${show(path)}`, absent);
  }
  if (cause instanceof Deno.errors.IsADirectory) {
    return new ConfigError(`${show(path)} is a directory`, "name a config file");
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return new ConfigError(
      `no permission to read ${show(path)}`,
      `see its permissions with: ls -l ${show(path)}`,
    );
  }
  const reason = cause instanceof Error ? cause.message : `${cause}`;
  return new ConfigError(`cannot read ${show(path)}: ${reason}`, "name a config file");
}
