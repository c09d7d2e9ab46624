/**
 * Writes events to the classic log file, and as JSON lines if the user asks for them.
 *
 * @module
 */
import { EventLines, eventObject } from "../log/classic.ts";
import type { LineFile } from "../log/line_file.ts";
import type { PacketThread } from "../runtime/thread.ts";
import { monotonic } from "../sys/clock.ts";
import type { Output } from "./output.ts";

/**
 * Writes each event of a packet thread to the log until the thread has been disposed of.
 *
 * @param output also gets the events, as objects
 */
export async function logEvents(thread: PacketThread, file: LineFile, output?: Output): Promise<void> {
  const lines = new EventLines();
  // The two clocks run alike. Reading their difference once keeps the times of events in order.
  const toWallClock = output === undefined ? 0 : performance.timeOrigin + performance.now() - monotonic();
  await thread.follow((record, times) => {
    file.append(lines.of(record), times);
    output?.event(() => eventObject(record.decode(), toWallClock));
  }, () => {
    file.flush();
    output?.flush();
  });
  const lost = thread.counters.get("log-lost");
  if (lost > 0) file.line(`${lost} lines lost`);
}
