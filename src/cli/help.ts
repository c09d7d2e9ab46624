/**
 * The texts of `--help` and the man page, made from the tables of commands, options and stages.
 *
 * @module
 */
import { WORDS as CONFIG_WORDS } from "../config/file.ts";
import { type Before, flagOf, FLAGS, stageList } from "../config/options.ts";
import { type Stage, STAGES } from "../config/stages.ts";
import { ExitCode } from "../errors.ts";
import { executableKind, VERSION } from "../run/self.ts";
import { optionsOf } from "./parse.ts";
import { type CommandRow, COMMANDS, type NamedCommand, RUN } from "./words.ts";

/** Terms, each with its explanation. */
export type Rows = readonly (readonly [term: string, explanation: string])[];

/** Headings, and the terms below each. */
type Sections = Readonly<Record<string, Rows>>;

/** Columns of a small terminal. */
const WIDTH = 80;

/** What onion is, in one line. */
export const BRIEF = "onion - an onion router for IP packets, over routers that you run yourself";

/** The whole manual. */
export const MANUAL: Sections = {
  Usage: usage(),
  Stages: STAGES.map((stage) => [`${stage.number}`, stage.shows]),
  Options: optionRows(RUN),
  Examples: [
    ["sudo onion --stage 2", "then, in another terminal: ping 10.5.51.7"],
    ["sudo onion --stage 3", "then, in another terminal: ping www.csail.mit.edu"],
    [
      "sudo onion lab demo --stage 6",
      "ping through a practice network, and see who can read what on each link",
    ],
    ["sudo onion lab.conf --log-dir /tmp", "use a config file, and write log files to /tmp"],
    ["source <(onion completion bash)", "complete onion's command lines in this shell"],
  ],
  "Practice network": commandRows("onion lab", COMMANDS.lab!),
  "Config file": configFile(),
  "Exit status": [
    [
      `${ExitCode.ok}`,
      "ended as asked, also by Ctrl+C or SIGTERM; a second Ctrl+C ends it at once with 130",
    ],
    [`${ExitCode.failed}`, "failed"],
    [`${ExitCode.usage}`, "the command line or the config file is wrong"],
    [`${ExitCode.notPermitted}`, "a privilege is missing"],
    [
      `${ExitCode.hostLacks}`,
      "this host lacks something that onion doctor names; onion doctor itself exits with 4 if a stage cannot run",
    ],
  ],
  Environment: [
    ["NO_COLOR", "if set, output has no colours"],
    [
      "ONION_CACHE_DIR",
      "absolute path of the directory where the self-extracting executable unpacks itself, instead of /var/cache or the user's cache",
    ],
  ],
};

/** Version, runtime and kind of executable, e.g. `onion 0.1.0 (Deno 2.9.6, deno compile)`. */
export function versionText(): string {
  return `onion ${VERSION} (Deno ${Deno.version.deno}, ${executableKind()})`;
}

/** The overview that `onion --help` prints. */
export function helpText(): string {
  return [BRIEF, ...sectionTexts(MANUAL)].join("\n\n");
}

/** The summary that `onion` alone prints. */
export function usageText(): string {
  return `Usage:\n${table(usage())}\n\nSee onion --help for the options.`;
}

/** The page of a command, as `onion COMMAND --help` prints it; the overview for a run. */
export function pageText({ name, row }: NamedCommand): string {
  if (row === RUN) return helpText();
  return [
    wrap(`${name} - ${row.help}`),
    `Usage:\n  ${commandLine(name, row)}`,
    ...row.about === undefined ? [] : [wrap(row.about)],
    ...sectionTexts(commandSections(name, row)),
  ].join("\n\n");
}

/** Every command, each followed by its own commands. */
export function allCommands(row: CommandRow = RUN, name = "onion"): NamedCommand[] {
  return commandsOf(name, row).flatMap((command) => [command, ...allCommands(command.row, command.name)]);
}

/** The commands of a command. */
function commandsOf(name: string, row: CommandRow): NamedCommand[] {
  const commands = Object.entries(row.commands ?? {});
  return commands.map(([word, row]) => ({ name: `${name} ${word}`, row, words: [] }));
}

/** A command with its operands and options. */
export function commandLine(name: string, { usage = "" }: CommandRow): string {
  return `${name} ${usage}`.trimEnd();
}

/** The sections of a command's page; some are empty. */
export function commandSections(name: string, row: CommandRow): Sections {
  return { Commands: commandRows(name, row), Options: optionRows(row), Examples: row.examples ?? [] };
}

function commandRows(name: string, row: CommandRow): Rows {
  return commandsOf(name, row).map(({ name, row }) => [commandLine(name, row), row.help]);
}

function usage(): Rows {
  return [
    ["onion --stage N [OPTION…]", "run a stage until Ctrl+C"],
    ["onion CONFIG_FILE [OPTION…]", "the same, from a classic config file; options override it"],
    ...commandRows("onion", RUN),
    ["onion --help", "print this overview"],
    ["onion COMMAND --help", "explain one command and its options"],
    ["onion --version", "print the version, and how onion was built"],
  ];
}

function optionRows(row: CommandRow): Rows {
  return optionsOf(row).map(({ flag, short, metavar, help, default: value, meantFor }) => {
    const term = [short === undefined ? flag : `${short}, ${flag}`, metavar].join(" ").trimEnd();
    // A switch is off by default.
    if (metavar === undefined || value === undefined) return [term, help];
    return [term, `${help} [${typeof value === "string" ? value : byStage(value, meantFor)}]`];
  });
}

/** The default of each stage, e.g. `1 in stages 1, 2 and 3; 4 in stage 4`. */
function byStage(value: (before: Before) => string, meantFor = (_: Stage) => true): string {
  const defaultIn = (stage: Stage) => value({ stage, routers: stage.routers.default });
  const values = Map.groupBy(STAGES.filter(meantFor), defaultIn);
  return [...values].map(([value, stages]) => `${value} in ${stageList(stages)}`).join("; ");
}

/** The words that this version knows an option for. */
function configFile(): Rows {
  const lines = Object.entries(CONFIG_WORDS).flatMap(([word, { option, from }]) => {
    const meant = option !== undefined && STAGES.some((stage) => stage.number >= from);
    return meant ? [[`${word} ${FLAGS[option].metavar}`, `as ${flagOf(option)}`] as const] : [];
  });
  return [...lines, ["# TEXT", "a comment, on its own line"]];
}

function sectionTexts(sections: Sections): string[] {
  const filled = Object.entries(sections).filter(([, rows]) => rows.length > 0);
  return filled.map(([title, rows]) => `${title}:\n${table(rows)}`);
}

/** Two columns: terms, and explanations wrapped at the width of a terminal. */
function table(rows: Rows): string {
  const indent = Math.max(...rows.map(([term]) => term.length)) + 4;
  return rows.map(([term, explanation]) => `  ${term}`.padEnd(indent) + wrap(explanation, indent)).join("\n");
}

/** Breaks a text at spaces. A word longer than a line gets a line of its own. */
function wrap(text: string, indent = 0): string {
  const line = new RegExp(`\\S.{0,${WIDTH - indent - 1}}(?!\\S)|\\S+`, "g");
  return text.match(line)!.join(`\n${" ".repeat(indent)}`);
}
