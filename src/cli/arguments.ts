/**
 * The command line → one {@linkcode Command}. The first word decides: a word of the command table is that command,
 * and everything else is a run.
 *
 * @module
 */
import { readConfigFile } from "../config/file.ts";
import type { Settings } from "../config/settings.ts";
import { validate } from "../config/validate.ts";
import { show } from "../config/values.ts";
import { ConfigError } from "../errors.ts";
import type { Command } from "./command.ts";
import { findSimilar } from "./optique.ts";
import { DOCTOR, NOTHING, parseRun, parseWords } from "./parse.ts";
import { versionText } from "./version.ts";
import { asksFor, shownWords } from "./words.ts";

/**
 * Reads a command line; the only thing it looks at besides is what the command line names: a config file, a directory.
 *
 * @param argv the arguments without the program's name
 * @throws {ConfigError} that names the word which cannot be taken, and the remedy
 */
export async function parseArguments(argv: readonly string[]): Promise<Command> {
  const [word, ...rest] = argv;
  if (word === undefined) return { kind: "usage", text: (await import("./help.ts")).usageText() };
  // First, because what is to be completed may be anything, `--help` too.
  if (word === "completion") {
    const { completion } = await import("./completion.ts");
    return { kind: "print", text: completion(rest) };
  }
  if (word === "lab") {
    const { parseLab } = await import("./lab_arguments.ts");
    const command = parseLab(rest);
    return command === undefined ? await help() : { kind: "lab", command };
  }
  if (word === "help" || asksFor(argv, "--help", "-h")) return await help();
  if (asksFor(argv, "--version", "-V")) return { kind: "print", text: versionText() };
  switch (word) {
    case "doctor":
      return { kind: "doctor", json: parseWords(DOCTOR, rest).json !== undefined };
    case "down":
      parseWords(NOTHING, rest);
      return { kind: "down" };
    case "man": {
      parseWords(NOTHING, rest);
      const { manPage } = await import("./man.ts");
      return { kind: "print", text: manPage() };
    }
    default:
      return { kind: "run", settings: await runSettings(argv) };
  }
}

async function help(): Promise<Command> {
  // Its words are those of every command; a run needs none of them.
  const { helpText } = await import("./help.ts");
  return { kind: "print", text: helpText() };
}

async function runSettings(words: readonly string[]): Promise<Settings> {
  const { file, options } = parseRun(words);
  const fromFile = file === undefined ? {} : await readConfigFile(file, meantInstead(file));
  const settings = validate({ ...fromFile, ...options });
  await requireDirectory(settings.logDir);
  return settings;
}

/** What somebody may have meant who named a config file that is not there. */
function meantInstead(file: string): string {
  if (/^\d+$/.test(file)) return `to run a stage, write onion --stage ${file}`;
  const [near] = findSimilar(file, shownWords());
  return near === undefined ? "name a config file, or see onion --help" : `did you mean onion ${near}?`;
}

/** Found out now, a mistyped directory costs nothing; later, a network would have to be taken down again. */
async function requireDirectory(path: string): Promise<void> {
  const refused = (reason: string) =>
    new ConfigError(`--log-dir ${show(path)}: ${reason}`, "make it, or choose another");
  const info = await Deno.stat(path).catch((cause) => {
    const absent = cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory;
    throw refused(absent ? "there is no such directory" : cause.message);
  });
  if (!info.isDirectory) throw refused("not a directory");
}
