/**
 * Results on stdout: text for people, or JSON lines for programs.
 *
 * @module
 */

import { within } from "../sys/abort.ts";

/** What a run says on stdout. */
export interface Output {
  /** A result: `text` for people, `object` for programs. */
  result(text: string, object: Record<string, unknown>): void;
  /** Something that happened, for programs only. */
  event(object: Record<string, unknown>): void;
  /** Starts writing what waits. */
  flush(): void;
  /** Writes what waits, unless the reader has stopped reading. */
  close(): Promise<void>;
}

/** Characters that may wait for a reader who does not keep up; events that come then are lost. */
const MOST = 4 * 1024 * 1024;

/** Milliseconds that a reader has to take the rest. */
const PATIENCE = 1000;

const encoder = new TextEncoder();

/** @param json JSON lines instead of text */
export function makeOutput(json: boolean): Output {
  let waiting = "";
  let lost = 0;
  let writing: Promise<void> | undefined;
  // In the background, because a pipe that nobody reads would hold up the signals, the routers, everything.
  const write = async () => {
    while (waiting !== "") {
      const bytes = encoder.encode(waiting);
      waiting = "";
      if (lost > 0) line({ event: "lost", events: lost });
      lost = 0;
      try {
        for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
      } catch {
        // The reader has gone; the run goes on.
      }
    }
    writing = undefined;
  };
  const flush = () => {
    if (waiting !== "") writing ??= write();
  };
  const line = (object: Record<string, unknown>) => {
    waiting += JSON.stringify({ time: new Date().toISOString(), ...object }) + "\n";
  };
  return {
    result(text, object) {
      if (json) line(object);
      else waiting += text + "\n";
      flush();
    },
    event(object) {
      if (!json) return;
      if (waiting.length < MOST) line(object);
      else lost++;
    },
    flush,
    async close() {
      flush();
      if (writing !== undefined) await within(PATIENCE, writing);
    },
  };
}
