/**
 * Diagnostics on stderr, by LogTape: what an operator wants to know beside the results.
 *
 * @module
 */
import {
  configureSync,
  getLogger,
  type Logger,
  type LogLevel as TapeLevel,
  type LogRecord,
} from "@logtape/logtape";
import type { LogLevel } from "../config/settings.ts";

const encoder = new TextEncoder();

/**
 * Sets the diagnostics up, once a process. On a terminal they are coloured, unless `NO_COLOR` is set.
 *
 * @param level how much is said
 */
export async function setUpDiagnostics(level: LogLevel): Promise<void> {
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
}

/** The logger of one part of onion, e.g. `proxy`. */
export function diagnostics(part: string): Logger {
  return getLogger(["onion", part]);
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
