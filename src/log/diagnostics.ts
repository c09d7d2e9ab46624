/**
 * Diagnostics on stderr, by LogTape: what an operator wants to know beside the results.
 *
 * @module
 */
import type { LogRecord } from "@logtape/logtape";
import type { LogLevel } from "../config/settings.ts";

/** How one part of onion says something: a text with places in braces, and what stands there. */
export type Say = (text: string, values?: Record<string, unknown>) => void;

/** What one part of onion can say. */
export type Diagnostics = Readonly<Record<"debug" | "info" | "warn" | "error", Say>>;

const encoder = new TextEncoder();

/** The levels, from the least important on. */
const RANKS = { debug: 0, info: 1, warn: 2, error: 3, off: 4 } as const;

/** What of it is said at all. */
let lowest: keyof typeof RANKS = "off";

/** LogTape's logger of a part, once it is loaded, which takes 15 ms of a start: it is when something is said. */
let loggerOf: ((part: string) => Diagnostics) | undefined;
let loading: Promise<void> | undefined;

/** What was said before that. */
const early: (() => void)[] = [];

/**
 * Sets the diagnostics up, once a process. On a terminal they are coloured, unless `NO_COLOR` is set.
 *
 * @param level how much is said
 */
export function setUpDiagnostics(level: LogLevel): void {
  lowest = level === "warning" ? "warn" : level;
}

/** The diagnostics of one part of onion, e.g. `proxy`. */
export function diagnostics(part: string): Diagnostics {
  const at = (level: keyof Diagnostics): Say => (text, values = {}) => {
    if (RANKS[level] < RANKS[lowest]) return;
    if (loggerOf !== undefined) return loggerOf(part)[level](text, values);
    early.push(() => loggerOf?.(part)[level](text, values));
    loading ??= load();
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** Resolves when everything that has been said is written. */
export async function diagnosticsWritten(): Promise<void> {
  await loading;
}

async function load(): Promise<void> {
  const { configureSync, getLogger } = await import("@logtape/logtape");
  const format = await formatter();
  configureSync({
    reset: true,
    sinks: { stderr: (record: LogRecord) => writeAll(encoder.encode(format(record))) },
    loggers: [
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
      { category: ["onion"], lowestLevel: "debug", sinks: ["stderr"] },
    ],
  });
  loggerOf = (part) => getLogger(["onion", part]);
  for (const say of early.splice(0)) say();
}

async function formatter(): Promise<(record: LogRecord) => string> {
  if (!Deno.stderr.isTerminal() || Deno.noColor) return plain;
  const { getPrettyFormatter } = await import("@logtape/pretty");
  return getPrettyFormatter({ icons: false, timestamp: "time", categoryStyle: "dim", messageStyle: null });
}

function plain({ level, category, message }: LogRecord): string {
  return `${category.join(" ")}: ${level}: ${message.map(String).join("")}\n`;
}

function writeAll(bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.length;) at += Deno.stderr.writeSync(bytes.subarray(at));
  } catch {
    // Nobody listens any more, e.g. a pipe whose reader has gone: no reason to stop.
  }
}
