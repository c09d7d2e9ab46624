/**
 * Waiting that an abort or a time limit ends.
 *
 * @module
 */
import { after } from "./timer.ts";

/**
 * Waits for `promise`, unless the signal aborts first.
 *
 * @throws the signal's reason
 */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Waits for `promise`, for at most `milliseconds`. Returns whether it has resolved. */
export async function within(milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
  const { promise: over, resolve } = Promise.withResolvers<false>();
  const cancel = after(milliseconds, () => resolve(false));
  try {
    return await Promise.race([promise.then(() => true), over]);
  } finally {
    cancel();
  }
}
