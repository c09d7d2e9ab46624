/**
 * What is known of the lab on this machine: written before anything is made, so that whatever becomes of the process
 * that makes it, the next `up` or `down` knows what to remove. Gone after a reboot, as the lab is.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { JOURNAL_DIR } from "../host/apply/journal_file.ts";
import { exists } from "./command.ts";
import type { Faults } from "./topology.ts";

/** Where the lab keeps its files. */
export const LAB_DIR = `${JOURNAL_DIR}/lab`;

/** Where `ip netns` keeps the names of namespaces. */
export const NETNS_DIR = "/run/netns";

const STATE_FILE = `${LAB_DIR}/state.json`;

/** A lab that is there, wholly or in part. */
export interface LabState {
  /** Namespaces that are the lab's. */
  readonly namespaces: readonly string[];
  readonly faults: Faults;
  /** Whether the first namespace of this machine is ours, and with it {@linkcode NETNS_DIR}. */
  readonly madeNetnsDir: boolean;
  /** Whether everything has been made. */
  readonly isWhole: boolean;
}

/** What there is of the lab. */
export function readState(): LabState | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(STATE_FILE));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new OperatorError(
      `cannot read ${STATE_FILE}: ${(error as Error).message}`,
      "remove the namespaces that begin with onion- with `ip netns delete`, then that file",
      undefined,
      { cause: error },
    );
  }
}

/** Notes what there is, or is about to be. */
export function writeState(state: LabState): void {
  Deno.mkdirSync(LAB_DIR, { recursive: true, mode: 0o700 });
  const unfinished = `${STATE_FILE}.new`;
  Deno.writeTextFileSync(unfinished, JSON.stringify(state) + "\n", { mode: 0o600 });
  Deno.renameSync(unfinished, STATE_FILE);
}

/** Removes everything that the lab has kept in files. */
export function removeState(): void {
  if (exists(LAB_DIR)) Deno.removeSync(LAB_DIR, { recursive: true });
  try {
    Deno.removeSync(JOURNAL_DIR);
  } catch {
    // Runs on this machine have their journals there.
  }
}

/**
 * Keeps every other process from making or removing the lab until it is disposed of; the kernel does so when we die.
 * It is the directory that is locked, because that is there before the lab and stays.
 *
 * @throws {OperatorError} if another process is at it
 */
export function lockLab(): Disposable {
  const directory = Deno.openSync("/run");
  if (directory.tryLockSync(true)) return { [Symbol.dispose]: () => directory.close() };
  directory.close();
  throw new OperatorError("another onion is making or removing the lab right now", "wait until it has ended");
}
