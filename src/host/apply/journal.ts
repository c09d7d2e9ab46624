/**
 * The journal of a run records every change to the host before the change is made, with the action
 * that undoes it. A run undoes its own journal on the way out, in reverse order. The next run, or
 * `onion down`, undoes those of dead runs.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../../errors.ts";
import type { UndoAction } from "../plan/action.ts";
import { carryOutTogether } from "./actions.ts";
import {
  type Entry,
  JOURNAL_DIR,
  journalPath,
  journals,
  mayList,
  readableJournals,
  readJournal,
  removeJournal,
  removeUnfinished,
  writeJournal,
} from "./journal_file.ts";
import { isAlive, type Owner, ownerOf, placeOf } from "./owner.ts";
import { BatchError, ipCommand } from "./programs.ts";

/** The outcome of undoing one change. */
export interface Undone {
  readonly change: string;
  /** Gone: somebody else undid it before, or the kernel did when an interface went. */
  readonly outcome: "undone" | "gone" | "failed";
  /** The reason of a failure. */
  readonly reason?: string;
}

/** What ip, nft, iptables and the kernel's files say about something that is not there. */
const GONE = new RegExp([
  "Cannot find device",
  "Address not found",
  "Cannot assign requested address", // the same, on older kernels
  "FIB table does not exist",
  "No such (file or directory|process|device)",
  "Bad rule \\(does a matching rule exist",
  "No chain/target/match by that name",
].join("|"));

/** The journal of this run. Its file exists from the first change until the last one is undone. */
export class Journal {
  readonly #path: string;
  readonly #entries: Entry[] = [];
  /** Undefined until something is recorded, because finding it out takes a while. */
  #owner: Owner | undefined;

  /** @param dir the directory of all journals */
  constructor(dir: string = JOURNAL_DIR) {
    this.#path = journalPath(dir, Deno.pid);
  }

  /**
   * Records changes, then makes them.
   *
   * @param entries undefined for a change that nobody needs to undo
   * @param make makes them in this order. If it throws, none counts as made, except those that a
   *   {@linkcode BatchError} reports as done
   */
  async change(entries: readonly (Entry | undefined)[], make: () => Promise<unknown>): Promise<void> {
    const recorded = (some: typeof entries) => some.filter((entry) => entry !== undefined);
    if (recorded(entries).length > 0) this.#write([...this.#entries, ...recorded(entries)]);
    let done = 0;
    try {
      await make();
      done = entries.length;
    } catch (error) {
      // If nobody knows, all stay recorded: undoing finds out which are not there.
      if (error instanceof BatchError) done = error.done ?? entries.length;
      throw error;
    } finally {
      this.#entries.push(...recorded(entries.slice(0, done)));
      // The run may go on without the others, and then nobody must undo them.
      if (recorded(entries.slice(done)).length > 0) this.#write(this.#entries);
    }
  }

  /** Undoes every change, the last one first, and removes the journal. */
  async undo(): Promise<Undone[]> {
    const owner = this.#owner;
    if (owner === undefined) return [];
    this.#owner = undefined; // what stays in the file is for the next run
    return await undoJournal(this.#path, owner, this.#entries.splice(0));
  }

  #write(entries: readonly Entry[]): void {
    try {
      writeJournal(this.#path, this.#owner ??= ownerOf(Deno.pid), entries);
    } catch (cause) {
      throw new OperatorError(
        `cannot write the journal ${this.#path}: ${(cause as Error).message}`,
        "make /run writable: onion changes nothing that it could not undo",
        undefined,
        { cause },
      );
    }
  }
}

/**
 * Undoes what dead runs in this network namespace left behind, and nothing else.
 *
 * @param dir the directory of all journals
 */
export async function undoLeftovers(dir: string = JOURNAL_DIR): Promise<Undone[]> {
  const undone: Undone[] = [];
  removeUnfinished(dir);
  for (const path of journals(dir)) {
    const journal = readJournal(path);
    if (journal === undefined) continue;
    if (journal === "unreadable") {
      const reason = "no journal that this version can read; remove it if its run left nothing behind";
      undone.push({ change: path, outcome: "failed", reason });
      continue;
    }
    if (isAlive(journal.owner)) continue;
    switch (placeOf(journal.owner)) {
      case "here":
        undone.push(...await undoJournal(path, journal.owner, journal.entries));
        break;
      case "nowhere":
        removeJournal(path);
        break;
      case "elsewhere":
        break;
    }
  }
  return undone;
}

/**
 * The changes that dead runs in this network namespace left behind; undefined if we may not look.
 */
export function leftovers(dir: string = JOURNAL_DIR): string[] | undefined {
  if (!mayList(dir)) return undefined;
  return readableJournals(dir).filter(({ owner }) => placeOf(owner) === "here" && !isAlive(owner))
    .flatMap(({ entries }) => entries.map(({ change }) => change));
}

/**
 * The changes of runs in this network namespace that are still up, each with its run's process id.
 */
export function changesOfLiveRuns(dir: string = JOURNAL_DIR): ReadonlyMap<string, number> {
  const live = readableJournals(dir).filter(({ owner }) => placeOf(owner) === "here" && isAlive(owner));
  return new Map(live.flatMap(({ owner, entries }) => entries.map(({ change }) => [change, owner.pid])));
}

/**
 * Makes sure that we may read the journals, if there are any.
 *
 * @throws {OperatorError} if only another user may
 */
export function requireJournals(dir: string = JOURNAL_DIR): void {
  if (mayList(dir)) return;
  throw new OperatorError(
    `not permitted to read ${dir}, where runs record their changes`,
    "run it as root: sudo onion down",
    ExitCode.notPermitted,
  );
}

/**
 * Undoes a journal's changes and removes it. A change that cannot be undone stays in it, for
 * another try.
 */
async function undoJournal(path: string, owner: Owner, entries: readonly Entry[]): Promise<Undone[]> {
  const undone: Undone[] = [];
  const left: Entry[] = [];
  const rest = entries.toReversed();
  while (rest.length > 0) {
    const { done, error } = await carryOutFirst(rest.map(({ undo }) => undo));
    undone.push(...rest.splice(0, done).map(({ change }) => ({ change, outcome: "undone" as const })));
    if (error === undefined) continue;
    const entry = rest.shift()!;
    const { change } = entry;
    const reason = error.message;
    if (GONE.test(reason)) undone.push({ change, outcome: "gone" });
    else {
      undone.push({ change, outcome: "failed", reason });
      left.unshift(entry);
    }
  }
  if (left.length === 0) removeJournal(path);
  else if (left.length < entries.length) writeJournal(path, owner, left);
  return undone;
}

/**
 * Carries out the first action, or as many as one `ip` process can. Returns how many succeeded, and
 * why the next one failed.
 */
async function carryOutFirst(actions: readonly UndoAction[]): Promise<{ done: number; error?: Error }> {
  const other = actions.findIndex((action) => ipCommand(action) === undefined);
  const first = actions.slice(0, other < 0 ? actions.length : Math.max(1, other));
  try {
    await carryOutTogether(first);
    return { done: first.length };
  } catch (error) {
    if (!(error instanceof BatchError)) return { done: 0, error: error as Error };
    // If nobody knows how far it got, they are tried one by one.
    return error.done === undefined ? await carryOutFirst(actions.slice(0, 1)) : { done: error.done, error };
  }
}
