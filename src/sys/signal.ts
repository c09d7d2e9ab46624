/**
 * What becomes of a signal where Deno has no say in it: signal(2).
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
 * Makes this process, and what it starts, ignore SIGUSR1, by which Deno would open its inspector's port: whoever reaches
 * that port has the process, and all its rights.
 */
export function ignoreInspectorSignal(): void {
  // Deno listens half a second after its start, by a handler that is put in place once a process. This puts it in place
  // now, so that nothing comes later which would undo the next line.
  Deno.addSignalListener("SIGUSR1", () => {});
  libc.signal(SIGUSR1, Deno.UnsafePointer.create(SIG_IGN));
}
