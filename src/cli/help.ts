/**
 * What `--help` and the man page say, made from the command, option and stage tables.
 *
 * @module
 */
import { WORDS as CONFIG_WORDS } from "../config/file.ts";
import { type Before, FLAGS, stageList } from "../config/options.ts";
import { type Stage, STAGES } from "../config/stages.ts";
import { ExitCode } from "../errors.ts";
import { optionsOf } from "./parse.ts";
import { type CommandRow, COMMANDS, type NamedCommand, RUN } from "./words.ts";

/** A heading and what stands under it: terms, each with its explanation. */
export interface Section {
  readonly title: string;
  readonly rows: readonly (readonly [term: string, explanation: string])[];
}

/** Columns of the oldest terminal. */
const WIDTH = 80;

/** What onion is, in one line. */
export const BRIEF = "onion - an onion router for IP packets, over routers that you run yourself";

/** The whole manual. */
export const MANUAL: readonly Section[] = [
  { title: "Usage", rows: usage() },
  { title: "Stages", rows: STAGES.map((stage) => [`${stage.number}`, stage.shows]) },
  { title: "Options", rows: optionRows(RUN) },
  {
    title: "Examples",
    rows: [
      ["sudo onion --stage 2", "then, in another terminal: ping 10.5.51.7"],
      ["sudo onion --stage 3", "then, in another terminal: ping www.csail.mit.edu"],
      [
        "sudo onion lab demo --stage 6",
        "a ping on a practice network: what crosses each link, who can read what",
      ],
      ["sudo onion lab.conf --log-dir /tmp", "a config file, and log files in /tmp"],
      ["source <(onion completion bash)", "complete command lines in this shell"],
    ],
  },
  { title: "Practice network", rows: commandRows("onion lab", COMMANDS.lab!) },
  { title: "Config file", rows: configFile() },
  {
    title: "Exit status",
    rows: [
      [
        `${ExitCode.ok}`,
        "ended as asked, by Ctrl+C or SIGTERM too; a second Ctrl+C ends it at once, with 130",
      ],
      [`${ExitCode.failed}`, "failed"],
      [`${ExitCode.usage}`, "the command line or the config file is wrong"],
      [`${ExitCode.notPermitted}`, "a privilege is missing"],
      [
        `${ExitCode.hostLacks}`,
        "this host lacks something, which onion doctor names; from onion doctor itself: a stage cannot run",
      ],
    ],
  },
  {
    title: "Environment",
    rows: [
      ["NO_COLOR", "if set, nothing is coloured"],
      [
        "ONION_CACHE_DIR",
        "an absolute path: the self-extracting executable unpacks itself in there, and not in /var/cache or the user's own cache",
      ],
    ],
  },
];

/** What `onion --help` prints. */
export function helpText(): string {
  return [BRIEF, ...MANUAL.map(sectionText)].join("\n\n");
}

/** What `onion` alone prints: the shortest way on. */
export function usageText(): string {
  return `Usage:\n${table(usage())}\n\nSee onion --help for the options.`;
}

/** What `onion COMMAND --help` prints: the page of that command, or the whole manual where there is none. */
export function pageText({ name, row }: NamedCommand): string {
  if (row === RUN) return helpText();
  return [
    paragraph(`${name} - ${row.help}`),
    `Usage:\n  ${commandLine(name, row)}`,
    ...row.about === undefined ? [] : [paragraph(row.about)],
    ...commandSections(name, row).map(sectionText),
  ].join("\n\n");
}

/** Every command, and behind it the commands that it takes. */
export function allCommands(name = "onion", row: CommandRow = RUN): NamedCommand[] {
  return Object.entries(row.commands ?? {}).flatMap(([word, row]) => [
    { name: `${name} ${word}`, row, words: [] },
    ...allCommands(`${name} ${word}`, row),
  ]);
}

/** A command with what follows its name. */
export function commandLine(name: string, { usage = "" }: CommandRow): string {
  return `${name} ${usage}`.trimEnd();
}

/** What there is to a command besides its line in the usage; nothing is empty. */
export function commandSections(name: string, row: CommandRow): Section[] {
  return [
    { title: "Commands", rows: commandRows(name, row) },
    { title: "Options", rows: optionRows(row) },
    { title: "Examples", rows: row.examples ?? [] },
  ].filter(({ rows }) => rows.length > 0);
}

function commandRows(name: string, row: CommandRow): Section["rows"] {
  const commands = Object.entries(row.commands ?? {});
  return commands.map(([word, row]) => [commandLine(`${name} ${word}`, row), row.help]);
}

function usage(): Section["rows"] {
  return [
    ["onion --stage N [OPTION…]", "run a stage until Ctrl+C"],
    ["onion CONFIG_FILE [OPTION…]", "the same, from a classic config file; options win over it"],
    ...commandRows("onion", RUN),
    ["onion --help", "print this"],
    ["onion COMMAND --help", "print what a command does, and its options"],
    ["onion --version", "print the version, and what it was built with"],
  ];
}

function optionRows(row: CommandRow): Section["rows"] {
  return Object.values(optionsOf(row)).map(({ flag, short, metavar, help, default: value, meantFor }) => {
    const term = [short === undefined ? flag : `${short}, ${flag}`, metavar].join(" ").trimEnd();
    // A switch has no default worth a word: it is off.
    if (metavar === undefined || value === undefined) return [term, help];
    return [term, `${help} [${typeof value === "string" ? value : byStage(value, meantFor)}]`];
  });
}

/** A default that depends on the stage, e.g. `1 in stages 1, 2 and 3; 4 in stage 4`. */
function byStage(
  value: (stage: Stage, before: Before) => string,
  meantFor: (stage: Stage) => boolean = () => true,
): string {
  const values = Map.groupBy(
    STAGES.filter(meantFor),
    (stage) => value(stage, { routers: stage.routers.default }),
  );
  return [...values].map(([value, stages]) => `${value} in ${stageList(stages)}`).join("; ");
}

function configFile(): Section["rows"] {
  const lines = Object.entries(CONFIG_WORDS).flatMap(([word, { option, from }]) => {
    const meant = option !== undefined && STAGES.some((stage) => stage.number >= from);
    return meant ? [[`${word} ${FLAGS[option].metavar}`, `as ${FLAGS[option].flag}`] as const] : [];
  });
  return [...lines, ["# TEXT", "a comment; it has a line of its own"]];
}

function sectionText({ title, rows }: Section): string {
  return `${title}:\n${table(rows)}`;
}

/** Terms in one column, explanations in the next, wrapped into it. */
function table(rows: Section["rows"]): string {
  const indent = Math.max(...rows.map(([term]) => term.length)) + 4;
  return rows.map(([term, explanation]) => {
    const lines = wrap(explanation, WIDTH - indent).join(`\n${" ".repeat(indent)}`);
    return `  ${term}`.padEnd(indent) + lines;
  }).join("\n");
}

function paragraph(text: string): string {
  return wrap(text, WIDTH).join("\n");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${line} ${word}`;
    } else lines.push(word);
  }
  return lines;
}
