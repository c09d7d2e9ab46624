/**
 * `onion` with a fault: an internal error on SIGUSR2. Run it from source, with onion's arguments.
 *
 * @module
 */
Deno.addSignalListener("SIGUSR2", () => {
  throw new Error("provoked by a test");
});
await import("../../../main.ts");
