/**
 * How a command line is read: optique parsers made from the option table, and their errors in our words.
 *
 * @module
 */
import { FLAGS, type RawOptions } from "../config/options.ts";
import { type Given, show } from "../config/values.ts";
import { ConfigError } from "../errors.ts";
import {
  argument,
  findSimilar,
  flag,
  formatMessage,
  lineBreak,
  map,
  type Message,
  object,
  option,
  optional,
  type OptionName,
  type Parser,
  parseSync,
  string,
  type Suggestion,
  text,
  type ValueParser,
} from "./optique.ts";

/** A parser of all words of a command. */
export type WordParser<T> = Parser<"sync", T, unknown>;

/** A parser of one flag or operand, which may be missing. */
export type Field<T> = Parser<"sync", T | undefined, unknown>;

/** Where a user who is lost is sent. */
const SEE_HELP = "see onion --help";

/**
 * Reads the words of a command.
 *
 * @throws {ConfigError} that names the word which does not fit
 */
export function parseWords<T>(parser: WordParser<T>, words: readonly string[]): T {
  const result = parseSync(parser, words);
  if (result.success) return result.value;
  const [cause, remedy] = formatMessage(result.error, { quotes: false }).split("\n");
  throw new ConfigError(cause!.replace(/\.$/, ""), remedy ?? SEE_HELP);
}

/**
 * Flags and operands in any order, each at most once.
 *
 * @param known the names of all flags, for who has mistyped one
 */
export function inAnyOrder<T extends Readonly<Record<string, Field<unknown>>>>(
  fields: T,
  known: readonly string[] = Object.values(fields).flatMap((field) => [...field.leadingNames]),
) {
  return object(fields, { errors: { unexpectedInput: (word) => unexpected(word, known) } });
}

/** The fields for some options of the table. */
export function flags<Name extends keyof typeof FLAGS>(names: readonly Name[]): Record<Name, Field<Given>> {
  const fields = names.map((name) => [name, field(FLAGS[name])] as const);
  return Object.fromEntries(fields) as Record<Name, Field<Given>>;
}

type RunOption = keyof typeof FLAGS;
const RUN_OPTIONS = Object.keys(FLAGS) as RunOption[];

/** `[CONFIG_FILE] [OPTION…]` */
export function runParser(options: readonly RunOption[] = RUN_OPTIONS) {
  const fields = { file: optional(argument(offering("CONFIG_FILE", "files"))), ...flags(options) };
  return inAnyOrder(fields, RUN_OPTIONS.map((name) => FLAGS[name].flag));
}

/**
 * Reads the words of a run. A parser is made of those options only that a word names, and of the one that no run is without: all
 * of them, of which each is asked about each word, would take 10 ms more at every start.
 *
 * @throws {ConfigError} that names the word which does not fit
 */
export function parseRun(words: readonly string[]): { file: string | undefined; options: RawOptions } {
  const isNamed = ({ flag }: FlagRow) =>
    flag === FLAGS.stage.flag || words.some((word) => word === flag || word.startsWith(`${flag}=`));
  const { file, ...options } = parseWords(
    runParser(RUN_OPTIONS.filter((name) => isNamed(FLAGS[name]))),
    words,
  );
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { file, options: Object.fromEntries(given) };
}

/** `[--json]` */
export const DOCTOR = inAnyOrder({ json: field({ ...FLAGS.json, help: "print one JSON object" }) });

/** What follows a command that takes neither options nor operands. */
export const NOTHING = inAnyOrder({});

/** A flag as a table describes it. */
export interface FlagRow {
  readonly flag: `--${string}`;
  readonly short?: `-${string}`;
  /** What stands for its value in the help; a switch has none. */
  readonly metavar?: string;
  readonly help: string;
  readonly offers?: readonly string[] | "directories";
}

/** The field for one flag. */
export function field({ flag: dashed, short, metavar, help, offers }: FlagRow): Field<Given> {
  const names: [OptionName, ...OptionName[]] = short === undefined ? [dashed] : [dashed, short];
  const given = (value: string): Given => ({ text: value, name: dashed, at: "" });
  const description = [text(help)];
  const errors = {
    duplicate: problem(`${dashed} is given twice`, "leave one of the two out"),
    endOfInput: problem(`${dashed} needs a value`, `write ${dashed} ${metavar}`),
    // Shown to nobody, for `inAnyOrder` says what is wrong. Left to itself, each option looks for similar names first: 5 ms in all.
    noMatch: problem(`not ${dashed}`),
  };
  return metavar === undefined
    ? map(optional(flag(...names, { description, errors })), (set) => set && given("yes"))
    : map(
      optional(option(...names, offering(metavar, offers), { description, errors })),
      (value) => value === undefined ? undefined : given(value),
    );
}

/** Any text: `config/` judges it, because there a file's values are judged too. Only what a shell may offer is said here. */
function offering(
  metavar: string,
  offers: readonly string[] | "directories" | "files" = [],
): ValueParser<"sync", string> {
  return {
    ...string({ metavar: metavar as "VALUE" }),
    *suggest(prefix: string): Iterable<Suggestion> {
      if (offers === "directories") yield { kind: "file", type: "directory" };
      else if (offers === "files") yield { kind: "file", type: "file" };
      else for (const word of offers) if (word.startsWith(prefix)) yield { kind: "literal", text: word };
    },
  };
}

function unexpected(word: string, flags: readonly string[]): Message {
  if (!word.startsWith("-")) return problem(`unexpected argument ${show(word)}`);
  const name = word.split("=", 1)[0]!;
  const known = [...flags, "--help", "--version"];
  const near = known.find((flag) => name.length > 3 && flag.startsWith(name)) ??
    findSimilar(name, known, { maxDistance: 2 })[0];
  return problem(`unknown option ${show(name)}`, near && `did you mean ${near}? ${SEE_HELP}`);
}

/** The cause, a line break, the remedy: {@linkcode parseWords} takes them apart again. */
function problem(cause: string, remedy = SEE_HELP): Message {
  return [text(cause), lineBreak(), text(remedy)];
}
