/**
 * From the event ring to the classic log file, and to JSON lines where they are asked for.
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
 * @param output where the same events go as objects, if anywhere
 */
export async function logEvents(thread: PacketThread, file: LineFile, output?: Output): Promise<void> {
  const lines = new EventLines();
  // Both clocks tick alike, so the difference is taken once: times that follow one another stay in order.
  const toWallClock = output === undefined ? 0 : performance.timeOrigin + performance.now() - monotonic();
  await thread.follow((record, times) => {
    file.append(lines.of(record), times);
    output?.event(eventObject(record.decode(), toWallClock));
  }, () => {
    file.flush();
    output?.flush();
  });
  const lost = thread.counters.get("log-lost");
  if (lost > 0) file.line(`${lost} lines lost`);
}
