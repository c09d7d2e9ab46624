/**
 * Waiting that an abort cuts short.
 *
 * @module
 */
import { after } from "./timer.ts";

/**
 * What `promise` resolves with, unless the signal aborts first.
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

/** Resolves when `milliseconds` are over or `promise` has resolved: whether it has. */
export async function within(milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
  const { promise: over, resolve } = Promise.withResolvers<false>();
  const cancel = after(milliseconds, () => resolve(false));
  try {
    return await Promise.race([promise.then(() => true), over]);
  } finally {
    cancel();
  }
}
