/**
 * Runs the stream client and its server, `bench/floor/stream.c`.
 *
 * @module
 */
import type { StreamTarget } from "./contender.ts";
import { Daemon } from "./daemon.ts";
import type { Place } from "./place.ts";

/** The port of stream servers. */
const PORT = "7000";

/** One run of the client. */
export interface StreamOptions {
  /** Small messages there and back, the next one so many seconds after the last; or as much as comes, by TCP or by UDP. */
  readonly what: { readonly messagesEvery: number } | "bulk" | "datagrams";
  readonly warmupSeconds: number;
  readonly spanSeconds: number;
  /** Processes whose CPU time is taken. */
  readonly watch: readonly number[];
}

/** What it prints; the C file says what each field means. */
export interface StreamResult {
  readonly seconds: number;
  readonly bytes: number;
  readonly watchedCpuSeconds: number;
  readonly roundTripMicroseconds: { readonly midmean: number } | null;
}

/** Starts the server at the far end; it is the caller's to end. `program` is the path of the built program. */
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
