/**
 * The state of the lab on this machine. It is written before anything is made, so that the next
 * `up` or `down` can remove what a killed process left. A reboot removes both.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { JOURNAL_DIR } from "../host/apply/journal_file.ts";
import { lockFile } from "../sys/file.ts";
import { exists } from "./command.ts";
import type { Faults } from "./topology.ts";

/** Directory of the lab's files. */
export const LAB_DIR = `${JOURNAL_DIR}/lab`;

/** Directory of the names of `ip netns`. */
export const NETNS_DIR = "/run/netns";

const STATE_FILE = `${LAB_DIR}/state.json`;

/** A lab, complete or in part. */
export interface LabState {
  /** Namespaces of the lab. */
  readonly namespaces: readonly string[];
  readonly faults: Faults;
  /** Whether the lab made {@linkcode NETNS_DIR}. */
  readonly madeNetnsDir: boolean;
  /** Whether the lab is complete. */
  readonly isWhole: boolean;
}

/** The lab of this machine, if any. */
export function readState(): LabState | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(STATE_FILE));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new OperatorError(
      `cannot read ${STATE_FILE}: ${(error as Error).message}`,
      "remove the namespaces that begin with onion- by `ip netns delete`, then that file",
      undefined,
      { cause: error },
    );
  }
}

/** Writes the state. */
export function writeState(state: LabState): void {
  Deno.mkdirSync(LAB_DIR, { recursive: true, mode: 0o700 });
  const unfinished = `${STATE_FILE}.new`;
  Deno.writeTextFileSync(unfinished, JSON.stringify(state) + "\n", { mode: 0o600 });
  Deno.renameSync(unfinished, STATE_FILE);
}

/** Removes all files of the lab. */
export function removeState(): void {
  if (exists(LAB_DIR)) Deno.removeSync(LAB_DIR, { recursive: true });
  try {
    Deno.removeSync(JOURNAL_DIR);
  } catch {
    // Other runs keep their journals there.
  }
}

/**
 * Locks the lab against other processes until disposed of. The kernel releases the lock of a dead
 * process. The lock is on /run, because that exists before the lab.
 *
 * @throws {OperatorError} if another process has the lock
 */
export function lockLab(): Disposable {
  const lock = lockFile("/run");
  if (lock !== undefined) return lock;
  throw new OperatorError(
    "another onion is making or removing the lab right now",
    "wait until it has finished",
  );
}
