/**
 * The command line of the bench.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { ConfigError } from "../src/errors.ts";
import { NAMES, OURS } from "./roster.ts";

/** What `--help` prints. */
export const USAGE = `Measures onion against its floor, in network namespaces that it makes and takes away.

usage: deno task bench [options]

  --rounds N      how often every contender is measured: 5, with --quick 1
  --only NAME     only this contender; may be repeated
  --against REV   build that revision, too, and compare; exit code 1 if a figure is over 20 % worse
  --quick         short measurements that show whether the bench works, and no more
  --no-build      take ./onion as it is
  --json          a report in JSON instead of the table

contenders: ${NAMES.join(", ")}`;

/** A valid command line. */
export interface BenchArguments {
  readonly help: boolean;
  readonly rounds: number;
  readonly quick: boolean;
  readonly json: boolean;
  readonly build: boolean;
  /** Names of contenders, one at least. */
  readonly only: readonly string[];
  /** A git revision. */
  readonly against?: string;
}

/**
 * Reads the command line.
 *
 * @throws ConfigError if it makes no sense
 */
export function parseArguments(args: readonly string[]): BenchArguments {
  const { values } = parse(args);
  const only = values.only ?? NAMES;
  const unknown = only.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) {
    throw new ConfigError(`--only ${unknown}: no such contender`, `use one of ${NAMES.join(", ")}`);
  }
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new ConfigError(`--rounds ${values.rounds}: not a number of rounds`, "use 1 or more");
  }
  if (values.against !== undefined && !only.some((name) => OURS.includes(name))) {
    throw new ConfigError("--against compares onion with itself", `let ${OURS.join(" or ")} take part`);
  }
  return {
    help: values.help,
    rounds,
    quick: values.quick,
    json: values.json,
    build: !values["no-build"],
    only,
    ...(values.against === undefined ? {} : { against: values.against }),
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
        against: { type: "string" },
        quick: { type: "boolean", default: false },
        "no-build": { type: "boolean", default: false },
        json: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new ConfigError(error.message, "see --help");
  }
}
