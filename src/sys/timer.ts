/**
 * Timers for what every start waits for. The first `setTimeout` of a process makes Deno load the timers of Node and what those
 * stand on, which takes 11 ms; a time limit of the web's own (`AbortSignal.timeout`) does not. Like others, a timer keeps the
 * program alive until it goes off or is cancelled.
 *
 * @module
 */

/** Ends a timer. After it has gone off, nothing. */
export type Cancel = () => void;

/** Calls `callback` once, after `milliseconds`. */
export function after(milliseconds: number, callback: () => void): Cancel {
  const limit = AbortSignal.timeout(Math.max(0, Math.ceil(milliseconds)));
  limit.addEventListener("abort", callback, { once: true });
  return () => limit.removeEventListener("abort", callback);
}

/** Calls `callback` every so many `milliseconds`. */
export function every(milliseconds: number, callback: () => void): Cancel {
  let cancel = after(milliseconds, again);
  function again(): void {
    cancel = after(milliseconds, again);
    callback();
  }
  return () => cancel();
}

/** Resolves after `milliseconds`. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void after(milliseconds, resolve));
}
