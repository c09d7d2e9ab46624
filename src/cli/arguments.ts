/**
 * The command line → one {@linkcode Command}. The first words name a command of the command table,
 * or else the command line is a run.
 *
 * @module
 */
import { fileFault, isAbsent, readConfigFile } from "../config/file.ts";
import type { RawOptions } from "../config/options.ts";
import type { Settings } from "../config/settings.ts";
import { validate } from "../config/validate.ts";
import { show } from "../config/values.ts";
import { ConfigError } from "../errors.ts";
import type { LabCommand } from "./lab_arguments.ts";
import { nearest } from "./nearest.ts";
import { parseWords } from "./parse.ts";
import { COMMANDS, findCommand, HELP, VERSION } from "./words.ts";

/** What `main.ts` is to do. */
export type Command =
  | { readonly kind: "run"; readonly settings: Settings }
  | { readonly kind: "lab"; readonly command: LabCommand }
  | { readonly kind: "doctor"; readonly json: boolean }
  | { readonly kind: "down" }
  /** Help, version, man page or completion. */
  | { readonly kind: "print"; readonly text: string }
  /** The command line is empty. */
  | { readonly kind: "usage"; readonly text: string };

/**
 * Reads a command line, and the config file that it names.
 *
 * @param argv the arguments without the program's name
 * @throws {ConfigError} naming the invalid word, and the remedy
 */
export async function parseArguments(argv: readonly string[]): Promise<Command> {
  if (argv.length === 0) return { kind: "usage", text: (await import("./help.ts")).usageText() };
  const isHelp = argv[0] === "help";
  const command = findCommand(isHelp ? argv.slice(1) : argv);
  const { options, operands, end, fault } = parseWords(command);
  const asksFor = (flags: readonly string[]) =>
    command.words.slice(0, end).some((word) => flags.includes(word));
  if (isHelp || asksFor(HELP)) return printed((await import("./help.ts")).pageText(command));
  if (asksFor(VERSION)) return printed((await import("./help.ts")).versionText());
  if (fault !== undefined) throw fault;
  switch (command.name) {
    case "onion lab up":
      return { kind: "lab", command: (await import("./lab_arguments.ts")).readUp(options) };
    case "onion lab exec":
      return { kind: "lab", command: (await import("./lab_arguments.ts")).readExec(options, operands) };
    case "onion lab demo":
      return { kind: "lab", command: (await import("./lab_arguments.ts")).readDemo(options) };
    case "onion lab down":
      return { kind: "lab", command: { verb: "down" } };
    case "onion doctor":
      return { kind: "doctor", json: options.json !== undefined };
    case "onion down":
      return { kind: "down" };
    case "onion completion":
      return printed((await import("./completion.ts")).completion(operands));
    case "onion man":
      return printed((await import("./man.ts")).manPage());
    default:
      return { kind: "run", settings: await runSettings(options, operands) };
  }
}

function printed(text: string): Command {
  return { kind: "print", text };
}

async function runSettings(options: RawOptions, [file]: readonly string[]): Promise<Settings> {
  const fromFile = file === undefined ? {} : await readConfigFile(file, meantInstead(file));
  const settings = validate({ ...fromFile, ...options });
  await requireDirectory(settings.logDir);
  return settings;
}

/** The remedy for a config file that does not exist. It may be a mistyped command. */
function meantInstead(file: string): string {
  if (/^\d+$/.test(file)) return `to run a stage, write onion --stage ${file}`;
  const near = nearest(file, Object.keys(COMMANDS));
  return near === undefined ? "name a config file, or see onion --help" : `did you mean onion ${near}?`;
}

/** Checks the directory before anything starts, because a run would have to be undone. */
async function requireDirectory(path: string): Promise<void> {
  const refused = (reason: string) =>
    new ConfigError(`--log-dir ${show(path)}: ${reason}`, "create it, or choose another");
  const info = await Deno.stat(path).catch((cause) => {
    throw refused(isAbsent(cause) ? "no such directory" : fileFault(cause));
  });
  if (!info.isDirectory) throw refused("not a directory");
}
