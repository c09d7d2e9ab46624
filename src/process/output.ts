/**
 * Results on stdout: text for people, or JSON lines for programs.
 *
 * @module
 */

/** What a run says on stdout. */
export interface Output {
  /** A result: `text` for people, `object` for programs. */
  result(text: string, object: Record<string, unknown>): void;
  /** Something that happened, for programs only. */
  event(object: Record<string, unknown>): void;
  /** Writes what waits. */
  flush(): void;
}

const encoder = new TextEncoder();

/** @param json JSON lines instead of text */
export function makeOutput(json: boolean): Output {
  let waiting = "";
  const flush = () => {
    if (waiting === "") return;
    const bytes = encoder.encode(waiting);
    waiting = "";
    try {
      for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
    } catch {
      // The reader has gone; the run goes on.
    }
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
      if (json) line(object);
    },
    flush,
  };
}
