/**
 * Signals that Deno does not let a program control: signal(2).
 *
 * @module
 */
import { libcWith } from "./libc.ts";

const libc = libcWith("signal");

/** `<bits/signum-arch.h>`: `#define SIGUSR1 10`. */
const SIGUSR1 = 10;
/** `<bits/signum-generic.h>`: `#define SIG_IGN ((__sighandler_t) 1)`. */
const SIG_IGN = 1n;

/**
 * Makes this process and its children ignore SIGUSR1, which makes Deno open the inspector's port.
 * Whoever connects to that port controls the process with all its privileges.
 */
export function ignoreInspectorSignal(): void {
  // Deno installs its handler half a second after the start, but only once a process. Installing it
  // now keeps Deno from undoing the next line later.
  Deno.addSignalListener("SIGUSR1", () => {});
  libc.signal(SIGUSR1, Deno.UnsafePointer.create(SIG_IGN));
}
