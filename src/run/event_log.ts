/**
 * From the event ring to the classic log file, and to JSON lines where they are asked for.
 *
 * @module
 */
import { EventLines, eventObject } from "../log/classic.ts";
import type { LineFile } from "../log/line_file.ts";
import type { PacketThread } from "../runtime/thread.ts";
import type { Output } from "./output.ts";

/**
 * Writes each event of a packet thread down until the thread has been disposed of.
 *
 * @param output where the same events go as objects, if anywhere
 */
export async function logEvents(thread: PacketThread, file: LineFile, output?: Output): Promise<void> {
  const lines = new EventLines();
  await thread.follow((event, times) => {
    file.append(lines.of(event), times);
    if (output === undefined) return;
    const object = eventObject(event);
    for (let time = 0; time < times; time++) output.event(object);
  }, () => {
    file.flush();
    output?.flush();
  });
  const lost = thread.counters.get("log-lost");
  if (lost > 0) file.line(`${lost} lines lost`);
}
