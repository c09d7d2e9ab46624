/**
 * Runs the stream client and its server, `bench/floor/stream.c`.
 *
 * @module
 */
import type { StreamTarget } from "./contender.ts";
import { Daemon } from "./daemon.ts";
import type { Place } from "./place.ts";

/** Port of stream servers. */
const PORT = "7000";

/** One run of the client. */
export interface StreamOptions {
  /**
   * Small messages there and back, at an interval in seconds; or as much as possible, by TCP or
   * UDP.
   */
  readonly what: { readonly messagesEvery: number } | "bulk" | "datagrams";
  readonly warmupSeconds: number;
  readonly spanSeconds: number;
  /** Processes whose CPU time is taken. */
  readonly watch: readonly number[];
}

/** Its output; the C file explains the fields. */
export interface StreamResult {
  readonly seconds: number;
  readonly bytes: number;
  readonly watchedCpuSeconds: number;
  readonly roundTripMicroseconds: { readonly midmean: number } | null;
}

/**
 * Starts the server at the far end. The caller ends it. `program` is the path of the built program.
 */
export async function serveStreams(
  program: string,
  { server, address }: StreamTarget,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  const { daemon } = await Daemon.start(server, "the stream server", [program, "serve", address, PORT], {
    signal,
  });
  return daemon;
}

/** Runs the client at `place`. */
export async function stream(
  program: string,
  place: Place,
  { address, socks }: StreamTarget,
  { what, warmupSeconds, spanSeconds, watch }: StreamOptions,
  signal: AbortSignal,
): Promise<StreamResult> {
  const text = await place.run([
    program,
    ...(typeof what === "string" ? [what] : ["messages", "--every", String(what.messagesEvery)]),
    ...(socks === undefined ? [] : ["--socks", String(socks)]),
    ...["--warmup", String(warmupSeconds)],
    ...["--seconds", String(spanSeconds)],
    ...watch.flatMap((pid) => ["--watch", String(pid)]),
    address,
    PORT,
  ], { signal });
  return JSON.parse(text);
}
