/**
 * The command line of the bench.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { ConfigError } from "../src/errors.ts";
import { NAMES } from "./roster.ts";

/** The text of `--help`. */
export const USAGE = `Measures onion against its floor, in network namespaces that it makes and takes away.

usage: deno task bench [options]

  --rounds N       how often every contender is measured: 5, with --quick 1
  --only NAME      only this contender; may be repeated
  --peers          other people's programs, too, as far as they are installed
  --growth         then, how round trip and rate grow with hosts and packet size
  --against REV    build that revision, too, and compare; exit code 1 if a figure is over 20 % worse
  --quick          short measurements that show whether the bench works, and no more
  --no-build       take ./onion as it is
  --json           a report in JSON instead of the tables
  --markdown FILE  the report as a page for docs/, too

contenders: ${NAMES.join(", ")}`;

/** A valid command line. */
export interface BenchArguments {
  readonly help: boolean;
  readonly rounds: number;
  readonly quick: boolean;
  readonly json: boolean;
  readonly build: boolean;
  readonly peers: boolean;
  readonly growth: boolean;
  /** Names of contenders, at least one; undefined to choose all. */
  readonly only?: readonly string[];
  /** A git revision. */
  readonly against?: string;
  /** A path. */
  readonly markdown?: string;
}

/**
 * Parses the command line.
 *
 * @throws ConfigError if it is invalid
 */
export function parseArguments(args: readonly string[]): BenchArguments {
  const { values } = parse(args);
  const { help, quick, json, peers, growth, only, against, markdown } = values;
  const unknown = only?.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) {
    throw new ConfigError(`--only ${unknown}: no such contender`, `use one of ${NAMES.join(", ")}`);
  }
  const rounds = Number(values.rounds ?? (quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new ConfigError(`--rounds ${values.rounds}: not a number of rounds`, "use 1 or more");
  }
  return {
    ...{ help, rounds, quick, json, build: !values["no-build"], peers, growth },
    ...(only === undefined ? {} : { only }),
    ...(against === undefined ? {} : { against }),
    ...(markdown === undefined ? {} : { markdown }),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", short: "h", default: false },
        rounds: { type: "string" },
        only: { type: "string", multiple: true },
        peers: { type: "boolean", default: false },
        growth: { type: "boolean", default: false },
        against: { type: "string" },
        quick: { type: "boolean", default: false },
        "no-build": { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        markdown: { type: "string" },
      },
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new ConfigError(error.message, "see --help");
  }
}
