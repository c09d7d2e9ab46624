/**
 * The command line → one {@linkcode Command}. Its first words name a command of the command table; where they name none,
 * it is a run.
 *
 * @module
 */
import { readConfigFile } from "../config/file.ts";
import type { Settings } from "../config/settings.ts";
import { validate } from "../config/validate.ts";
import { show } from "../config/values.ts";
import { ConfigError } from "../errors.ts";
import type { Command } from "./command.ts";
import { nearest } from "./nearest.ts";
import { asksFor, type Parsed, parseWords } from "./parse.ts";
import { versionText } from "./version.ts";
import { findCommand, RUN, shownCommands } from "./words.ts";

/**
 * Reads a command line; the only thing it looks at besides is what the command line names: a config file, a directory.
 *
 * @param argv the arguments without the program's name
 * @throws {ConfigError} that names the word which cannot be taken, and the remedy
 */
export async function parseArguments(argv: readonly string[]): Promise<Command> {
  if (argv.length === 0) return { kind: "usage", text: (await import("./help.ts")).usageText() };
  const isHelp = argv[0] === "help";
  const named = findCommand(isHelp ? argv.slice(1) : argv);
  if (isHelp || asksFor(named, "--help", "-h")) {
    const { pageText } = await import("./help.ts");
    return { kind: "print", text: pageText(named) };
  }
  if (asksFor(named, "--version", "-V")) return { kind: "print", text: versionText() };
  const parsed = parseWords(named);
  return await named.row.read?.(parsed) ?? { kind: "run", settings: await runSettings(parsed) };
}

async function runSettings({ options, operands: [file] }: Parsed): Promise<Settings> {
  const fromFile = file === undefined ? {} : await readConfigFile(file, meantInstead(file));
  const settings = validate({ ...fromFile, ...options });
  await requireDirectory(settings.logDir);
  return settings;
}

/** What somebody may have meant who named a config file that is not there. */
function meantInstead(file: string): string {
  if (/^\d+$/.test(file)) return `to run a stage, write onion --stage ${file}`;
  const near = nearest(file, shownCommands(RUN).map(([word]) => word));
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
