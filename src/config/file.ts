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
import type { RawOptions, RunOption } from "./options.ts";
import { LAST_STAGE } from "./stages.ts";
import { type Given, show } from "./values.ts";

/** The words that may begin a line: the option that each sets, and its first stage. */
export const WORDS: Readonly<Record<string, { readonly option?: RunOption; readonly from: number }>> = {
  stage: { option: "stage", from: 1 },
  num_routers: { option: "routers", from: 1 },
  minitor_hops: { option: "hops", from: 5 },
  // Sets an option from stage 9 on. Before, a file with this word is refused because of its stage.
  die_after: { from: LAST_STAGE },
};

/** The value that a line gives. */
interface Line extends Given {
  /** Line number, from 1. */
  readonly line: number;
}

/** A config file has a few lines. A larger file is not a config file. */
const MAX_BYTES = 64 * 1024;

/** Remedy for a file that is something else. */
const ANOTHER = "name a config file";

/**
 * Reads a classic config file.
 *
 * @param path its name; a pipe works too
 * @param absent remedy if the file does not exist
 * @throws {ConfigError} naming file, line and reason
 */
export async function readConfigFile(path: string, absent: string): Promise<RawOptions> {
  const bytes = await readStart(path).catch((cause: Error) => {
    throw unreadable(path, absent, cause);
  });
  if (bytes.length > MAX_BYTES) {
    const limit = `the ${MAX_BYTES / 1024} KiB that a config file may have`;
    throw new ConfigError(`${show(path)} is larger than ${limit}`, ANOTHER);
  }
  const text = new TextDecoder().decode(bytes);
  // The decoder puts U+FFFD in the place of what is not UTF-8.
  if (/[\0\ufffd]/.test(text)) throw new ConfigError(`${show(path)} is not a text file`, ANOTHER);
  return parseConfigFile(text, path);
}

/**
 * Reads the text of a classic config file.
 *
 * @param path its name for error messages
 * @throws {ConfigError} naming file, line and reason
 */
export function parseConfigFile(text: string, path: string): RawOptions {
  const given: Line[] = [];
  for (const [index, content] of text.split("\n").entries()) {
    // White space includes the carriage return of a Windows file.
    const [name, value, ...rest] = content.match(/\S+/g) ?? [];
    if (name === undefined || name.startsWith("#")) continue;

    const line = index + 1;
    const at = `${show(path)}:${line}: `;
    const refuse = (reason: string, remedy: string) => new ConfigError(`${at}${reason}`, remedy);
    if (!Object.hasOwn(WORDS, name)) {
      const listed = new Intl.ListFormat("en-GB", { type: "disjunction" });
      const words = listed.format(["#", ...Object.keys(WORDS)]);
      throw refuse(`unknown word ${show(name)}`, `a line begins with ${words}`);
    }
    if (value === undefined) throw refuse(`${name} has no value`, `write ${name} and a number`);
    if (rest.length > 0) {
      const remedy = "a line is a word and a number; a comment needs its own line";
      throw refuse(`${name} ${show(value)} is followed by ${show(rest.join(" "))}`, remedy);
    }
    const before = given.find((other) => other.name === name);
    if (before !== undefined) {
      throw refuse(`${name} is already in line ${before.line}`, "remove one of the two lines");
    }
    given.push({ text: value, name, at, line });
  }
  return rawOptions(given, path);
}

/** Checks each line against the stage, which may stand anywhere in the file. */
function rawOptions(given: readonly Line[], path: string): RawOptions {
  const stage = given.find(({ name }) => name === "stage");
  if (stage === undefined) {
    throw new ConfigError(`${show(path)}: no line sets the stage`, "add a line like: stage 2");
  }
  const raw: Partial<Record<RunOption, Given>> = {};
  for (const line of given) {
    const { option, from } = WORDS[line.name]!;
    if (Number(stage.text) < from) {
      const stages = from === LAST_STAGE ? `stage ${from}` : `stages ${from} to ${LAST_STAGE}`;
      const fault = `${line.name} is for ${stages}, but line ${stage.line} says stage ${show(stage.text)}`;
      throw new ConfigError(`${line.at}${fault}`, "remove this line");
    }
    if (option !== undefined) raw[option] = line;
  }
  return raw;
}

/**
 * Reads a file, but at most a byte more than allowed, because it may be endless, like /dev/zero.
 */
async function readStart(path: string): Promise<Uint8Array> {
  using file = await Deno.open(path);
  const bytes = new Uint8Array(MAX_BYTES + 1);
  let length = 0;
  while (length < bytes.length) {
    const count = await file.read(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

function unreadable(path: string, absent: string, cause: Error): ConfigError {
  const shown = show(path);
  if (isAbsent(cause)) return new ConfigError(`there is no file ${shown}`, absent);
  if (cause instanceof Deno.errors.IsADirectory) return new ConfigError(`${shown} is a directory`, ANOTHER);
  if (cause instanceof Deno.errors.PermissionDenied) {
    return new ConfigError(`no permission to read ${shown}`, `see its permissions with: ls -l ${shown}`);
  }
  return new ConfigError(`cannot read ${shown}: ${fileFault(cause)}`, ANOTHER);
}

/** Why an operation on a file failed, without the call and the path that Deno adds. */
export function fileFault({ message }: Error): string {
  return message.replace(/: \w+ '.*'$/s, "");
}

/** Whether an operation failed because there is no such file or directory. */
export function isAbsent(cause: Error): boolean {
  return cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory;
}
