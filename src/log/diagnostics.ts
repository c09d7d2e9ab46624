/**
 * Diagnostics for the operator on stderr, written by LogTape.
 *
 * @module
 */
import type { LogRecord } from "@logtape/logtape";
import type { LogLevel } from "../config/settings.ts";

/** Writes a message. `values` fill the places in braces. */
type Say = (text: string, values?: Record<string, unknown>) => void;

/** The diagnostics of one part of onion. */
type Diagnostics = Readonly<Record<"debug" | "info" | "warn" | "error", Say>>;

const encoder = new TextEncoder();

/** The levels, least important first. */
const RANKS = { debug: 0, info: 1, warn: 2, error: 3, off: 4 } as const;

/** The lowest level that is written. */
let lowest: keyof typeof RANKS = "off";

/**
 * Returns the LogTape logger of a part. Loading LogTape takes 15 ms, so it waits for the first
 * message.
 */
let loggerOf: ((part: string) => Diagnostics) | undefined;
let loading: Promise<void> | undefined;

/** Messages from before LogTape was loaded. */
const early: (() => void)[] = [];

/**
 * Sets up the diagnostics of this process. They are coloured on a terminal, unless `NO_COLOR` is
 * set.
 *
 * @param level the lowest level that is written
 */
export function setUpDiagnostics(level: LogLevel): void {
  lowest = level === "warning" ? "warn" : level;
}

/** Returns the diagnostics of one part of onion, e.g. `proxy`. */
export function diagnostics(part: string): Diagnostics {
  const at = (level: keyof Diagnostics): Say => (text, values = {}) => {
    if (RANKS[level] < RANKS[lowest]) return;
    const clean = withoutControls(values);
    if (loggerOf !== undefined) return loggerOf(part)[level](text, clean);
    early.push(() => loggerOf?.(part)[level](text, clean));
    loading ??= load();
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** Keeps each message on its line of the terminal, because values quote routers and programs. */
function withoutControls(values: Record<string, unknown>): Record<string, unknown> {
  const clean = (value: unknown) => typeof value === "string" ? value.replace(/\p{C}+/gu, " ") : value;
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, clean(value)]));
}

/** Resolves when every message so far has been written. */
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
    // Not a reason to stop: for example, the reader of a pipe has gone.
  }
}
