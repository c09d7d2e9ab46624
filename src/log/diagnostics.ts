/**
 * Diagnostics on stderr, by LogTape: what an operator wants to know beside the results.
 *
 * @module
 */
import type { LogLevel as TapeLevel, LogRecord } from "@logtape/logtape";
import type { LogLevel } from "../config/settings.ts";

/** How one part of onion says something: a text with places in braces, and what stands there. */
export type Say = (text: string, values?: Record<string, unknown>) => void;

/** What one part of onion can say. */
export type Diagnostics = Readonly<Record<"debug" | "info" | "warn" | "error", Say>>;

const encoder = new TextEncoder();

/** LogTape's logger of a part, once it is set up. */
let loggerOf: ((part: string) => Diagnostics) | undefined;

/** What was said before that. */
const early: (() => void)[] = [];

/**
 * Loads LogTape, which takes 15 ms, and sets the diagnostics up, once a process. On a terminal they are coloured, unless
 * `NO_COLOR` is set. What has been said before is said now.
 *
 * @param level how much is said
 */
export async function setUpDiagnostics(level: LogLevel): Promise<void> {
  const { configureSync, getLogger } = await import("@logtape/logtape");
  const lowest: TapeLevel | null = level === "off" ? null : level;
  const format = await formatter();
  configureSync({
    reset: true,
    sinks: { stderr: (record: LogRecord) => writeAll(encoder.encode(format(record))) },
    loggers: [
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
      { category: ["onion"], lowestLevel: lowest, sinks: ["stderr"] },
    ],
  });
  loggerOf = (part) => getLogger(["onion", part]);
  for (const say of early.splice(0)) say();
}

/** The diagnostics of one part of onion, e.g. `proxy`. What is said before they are set up waits until they are. */
export function diagnostics(part: string): Diagnostics {
  const say = (level: keyof Diagnostics): Say => (text, values = {}) => {
    const now = () => loggerOf?.(part)[level](text, values);
    if (loggerOf === undefined) early.push(now);
    else now();
  };
  return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
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
