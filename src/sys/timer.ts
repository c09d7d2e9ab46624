/**
 * Timers that do not slow down a start. The first `setTimeout` of a process makes Deno load Node's
 * timers, which takes 11 ms; `AbortSignal.timeout` does not. A timer keeps the program alive until
 * it fires or is cancelled.
 *
 * @module
 */

/** Cancels a timer. Does nothing once the timer has fired. */
export type Cancel = () => void;

/** Calls `callback` once, after `milliseconds`. */
export function after(milliseconds: number, callback: () => void): Cancel {
  const limit = AbortSignal.timeout(Math.max(0, Math.ceil(milliseconds)));
  limit.addEventListener("abort", callback, { once: true });
  return () => limit.removeEventListener("abort", callback);
}

/** Calls `callback` every `milliseconds`. */
export function every(milliseconds: number, callback: () => void): Cancel {
  let cancel = after(milliseconds, again);
  function again(): void {
    cancel = after(milliseconds, again);
    callback();
  }
  return () => cancel();
}

/** Waits for `milliseconds`. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void after(milliseconds, resolve));
}
