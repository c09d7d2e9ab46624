/**
 * What `--help` and the man page say, made from the option, command and stage tables.
 *
 * @module
 */
import { WORDS as CONFIG_WORDS } from "../config/file.ts";
import { type Before, FLAGS, stageList } from "../config/options.ts";
import { type Stage, STAGES } from "../config/stages.ts";
import { ExitCode } from "../errors.ts";
import { LAB_HELP } from "./lab_arguments.ts";
import { WORDS } from "./words.ts";

/** A heading and what stands under it: terms, each with its explanation. */
export interface Section {
  readonly title: string;
  readonly rows: readonly (readonly [term: string, explanation: string])[];
}

/** What onion is, in one line. */
export const BRIEF = "onion - an onion router for IP packets, over routers that you run yourself";

/** The whole manual. */
export const MANUAL: readonly Section[] = [
  { title: "Usage", rows: usage() },
  { title: "Stages", rows: STAGES.map((stage) => [`${stage.number}`, stage.shows]) },
  { title: "Options", rows: options() },
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
  { title: "Practice network", rows: LAB_HELP },
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
  return [BRIEF, ...MANUAL.map(({ title, rows }) => `${title}:\n${table(rows)}`)].join("\n\n");
}

/** What `onion` alone prints: the shortest way on. */
export function usageText(): string {
  return `Usage:\n${table(usage())}\n\nSee onion --help for the options.`;
}

function usage(): Section["rows"] {
  const words = Object.entries(WORDS).flatMap(([word, { operands, help }]) =>
    help === undefined ? [] : [[["onion", word, operands].filter(Boolean).join(" "), help] as const]
  );
  return [
    ["onion --stage N [OPTION…]", "run a stage until Ctrl+C"],
    ["onion CONFIG_FILE [OPTION…]", "the same, from a classic config file; options win over it"],
    ...words,
    ["onion --help", "print this"],
    ["onion --version", "print the version, and what it was built with"],
  ];
}

function options(): Section["rows"] {
  return Object.values(FLAGS).map(({ flag, metavar, help, usual, meantFor }) => {
    const term = metavar === undefined ? flag : `${flag} ${metavar}`;
    // A switch has no default worth a word: it is off.
    if (metavar === undefined || usual === undefined) return [term, help];
    return [term, `${help} [${typeof usual === "string" ? usual : byStage(usual, meantFor)}]`];
  });
}

/** What an option usually is where that depends on the stage, e.g. `1 in stages 1, 2 and 3; 4 in stage 4`. */
function byStage(
  usual: (stage: Stage, before: Before) => string,
  meantFor: (stage: Stage) => boolean = () => true,
): string {
  const values = Map.groupBy(
    STAGES.filter(meantFor),
    (stage) => usual(stage, { routers: stage.routers.usual }),
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

/** Columns of the oldest terminal. */
const WIDTH = 80;

/** Terms in one column, explanations in the next, wrapped into it. */
function table(rows: Section["rows"]): string {
  const indent = Math.max(...rows.map(([term]) => term.length)) + 4;
  return rows.map(([term, explanation]) => {
    const lines = wrap(explanation, WIDTH - indent).join(`\n${" ".repeat(indent)}`);
    return `  ${term}`.padEnd(indent) + lines;
  }).join("\n");
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
