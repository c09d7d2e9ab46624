/**
 * Results on stdout: text for people, or JSON lines for programs.
 *
 * @module
 */
import { within } from "../sys/abort.ts";

/** The standard output of a run. */
export interface Output {
  /** Writes a result: `text` for people, or `object` for programs. */
  result(text: string, object: Record<string, unknown>): void;
  /**
   * Writes an event with its own time, for programs only. Calls `make` only if there is room for
   * the event.
   */
  event(make: () => Record<string, unknown>): void;
  /** Starts writing what is queued. */
  flush(): void;
  /** Writes what is queued, unless the reader has stopped reading. */
  close(): Promise<void>;
}

/** Max characters queued for a reader that does not keep up. Further events are lost. */
const MAX_QUEUED = 4 * 1024 * 1024;

/** Milliseconds that the reader has for the rest. */
const PATIENCE = 1000;

const encoder = new TextEncoder();

/** @param json whether to write JSON lines instead of text */
export function makeOutput({ json }: { readonly json: boolean }): Output {
  let queued = "";
  let lost = 0;
  let writing: Promise<void> | undefined;
  // Does not block: a pipe without a reader would hold up signals and routers.
  const write = async () => {
    while (queued !== "") {
      const bytes = encoder.encode(queued);
      queued = "";
      if (lost > 0) line({ event: "lost", events: lost });
      lost = 0;
      try {
        for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
      } catch {
        // The reader is gone. The run goes on.
      }
    }
    writing = undefined;
  };
  const flush = () => {
    if (queued !== "") writing ??= write();
  };
  const line = (object: Record<string, unknown>) => {
    queued += JSON.stringify({ time: new Date().toISOString(), ...object }) + "\n";
  };
  return {
    result(text, object) {
      if (json) line(object);
      else queued += text + "\n";
      flush();
    },
    event(make) {
      if (!json) return;
      if (queued.length < MAX_QUEUED) queued += JSON.stringify(make()) + "\n";
      else lost++;
    },
    flush,
    async close() {
      flush();
      if (writing !== undefined) await within(PATIENCE, writing);
    },
  };
}
