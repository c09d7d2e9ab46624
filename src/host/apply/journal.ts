/**
 * The journal of a run records every change to the host before the change is made, with the action
 * that undoes it.
 *
 * ```
 *             Ctrl+C, SIGTERM, SIGHUP ─► undo: the host is as before, the journal is gone
 *   run is up
 *             any other end ─► close, or nothing after SIGKILL: captured packets stay refused
 *                                │
 *                                ├─► `onion down`: undo
 *                                └─► the next run that captures: take over, when it is ready
 * ```
 *
 * @module
 */
import { ExitCode, OperatorError } from "../../errors.ts";
import { sleep } from "../../sys/timer.ts";
import { toWords } from "../plan/action.ts";
import { carryOutFirst } from "./actions.ts";
import {
  type Entry,
  isInUse,
  JOURNAL_DIR,
  JournalFile,
  journals,
  mayList,
  readJournal,
  removeUnfinished,
} from "./journal_file.ts";
import { isAlive, type Owner, ownerOf, placeOf } from "./owner.ts";
import { BatchError } from "./programs.ts";

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

/** How often to try a journal that another process seems to use, and how long to wait, in ms. */
const IN_USE = { tries: 3, step: 10 } as const;

/** The journal of this run. Its file exists from the first change until the last one is undone. */
export class Journal {
  readonly #file: JournalFile;
  readonly #entries: Entry[] = [];
  /** Undefined until something is recorded, because finding it out takes a while. */
  #owner: Owner | undefined;

  /** @param dir the directory of all journals */
  constructor(dir: string = JOURNAL_DIR) {
    this.#file = JournalFile.create(dir);
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

  /**
   * Takes over what dead runs left: records those of their changes that this run relies on, and
   * undoes the others. The capture is closed all the while.
   *
   * @param there the changes that this run needed and found on the host
   */
  async takeOver(closed: ClosedCaptures, there: readonly string[]): Promise<Undone[]> {
    const undone: Undone[] = [];
    for (const run of closed.runs) {
      // What this run made again, it will undo itself.
      const rest = run.entries.filter((entry) => !this.#entries.some((own) => isSame(own, entry)));
      const needed = rest.filter(({ change }) => there.includes(change));
      const others = rest.filter((entry) => !needed.includes(entry));
      this.#entries.unshift(...needed);
      // If this process died in between, both journals would have them. Undoing twice does no harm.
      if (needed.length > 0) this.#write(this.#entries);
      run.file.write(run.owner, others);
      undone.push(...(await undoEntries(run.file, run.owner, others)).undone);
      run.file[Symbol.dispose]();
    }
    closed.runs.length = 0;
    return undone;
  }

  /** Whether a capture stays closed if this process ends now. */
  get isClosing(): boolean {
    return this.#entries.some(isClosing);
  }

  /** Undoes every change, the last one first, and removes the journal. */
  async undo(): Promise<Undone[]> {
    return await this.#end(() => false);
  }

  /**
   * Undoes every change but those that keep the capture closed. The journal keeps these for another
   * process.
   *
   * @returns what was undone, and whether the capture is closed now
   */
  async close(): Promise<{ undone: Undone[]; isClosed: boolean }> {
    const isClosed = this.isClosing;
    return { undone: await this.#end(isClosing), isClosed };
  }

  async #end(stays: (entry: Entry) => boolean): Promise<Undone[]> {
    const owner = this.#owner;
    if (owner === undefined) return [];
    this.#owner = undefined; // what stays in the file is for others
    using file = this.#file;
    const { undone } = await undoEntries(file, owner, this.#entries, stays);
    this.#entries.length = 0;
    return undone;
  }

  #write(entries: readonly Entry[]): void {
    try {
      this.#file.write(this.#owner ??= ownerOf(Deno.pid), entries);
    } catch (cause) {
      throw new OperatorError(
        `cannot write the journal ${this.#file.path}: ${(cause as Error).message}`,
        "make /run writable: onion changes nothing that it could not undo",
        undefined,
        { cause },
      );
    }
  }
}

/** What a dead run in this network namespace left. No other process uses it meanwhile. */
interface DeadRun {
  readonly file: JournalFile;
  readonly owner: Owner;
  readonly entries: readonly Entry[];
}

/** Captures that dead runs left closed. Other processes leave them alone until it is disposed. */
export class ClosedCaptures implements Disposable {
  readonly runs: DeadRun[];

  constructor(runs: DeadRun[] = []) {
    this.runs = runs;
  }

  /** The paths of their journals. */
  get paths(): ReadonlySet<string> {
    return new Set(this.runs.map(({ file }) => file.path));
  }

  [Symbol.dispose](): void {
    for (const { file } of this.runs.splice(0)) file[Symbol.dispose]();
  }
}

/**
 * Undoes what dead runs in this network namespace left behind, and nothing else.
 *
 * @param dir the directory of all journals
 */
export async function undoLeftovers(dir: string = JOURNAL_DIR): Promise<Undone[]> {
  const { runs, unreadable: undone } = await openDeadRuns(dir);
  for (const { file, owner, entries } of runs) {
    using journal = file;
    undone.push(...(await undoEntries(journal, owner, entries)).undone);
  }
  return undone;
}

/**
 * Undoes what dead runs in this network namespace left behind, except for what keeps their captures
 * closed.
 *
 * @param dir the directory of all journals
 */
export async function clearLeftovers(
  dir: string = JOURNAL_DIR,
): Promise<{ undone: Undone[]; closed: ClosedCaptures }> {
  const { runs, unreadable: undone } = await openDeadRuns(dir);
  const closed = new ClosedCaptures();
  for (const { file, owner, entries } of runs) {
    const result = await undoEntries(file, owner, entries, isClosing);
    undone.push(...result.undone);
    if (result.left.some(isClosing)) closed.runs.push({ file, owner, entries: result.left });
    else file[Symbol.dispose]();
  }
  return { undone, closed };
}

/**
 * The changes that dead runs in this network namespace left behind; undefined if we may not look.
 */
export function leftovers(dir: string = JOURNAL_DIR): string[] | undefined {
  if (!mayList(dir)) return undefined;
  return runsHere(dir).filter(({ isUp }) => !isUp).flatMap(({ entries }) =>
    entries.map(({ change }) => change)
  );
}

/**
 * The changes that dead runs in this network namespace left, and that keep their captures closed.
 *
 * @param dir the directory of all journals
 * @param taken the captures that this process is taking over
 */
export function changesOfClosedCaptures(
  dir: string = JOURNAL_DIR,
  taken: ClosedCaptures = new ClosedCaptures(),
): ReadonlySet<string> {
  const closed = runsHere(dir).filter(({ isUp, path }) => !isUp || taken.paths.has(path))
    .flatMap(({ entries }) => entries).filter(isClosing);
  return new Set(closed.map(({ change }) => change));
}

/**
 * The changes of runs in this network namespace that are still up, each with its run's process id.
 *
 * @param dir the directory of all journals
 * @param taken the captures that this process is taking over
 */
export function changesOfLiveRuns(
  dir: string = JOURNAL_DIR,
  taken: ClosedCaptures = new ClosedCaptures(),
): ReadonlyMap<string, number> {
  const live = runsHere(dir).filter(({ isUp, path }) => isUp && !taken.paths.has(path));
  return new Map(live.flatMap(({ owner, entries }) => entries.map(({ change }) => [change, owner.pid])));
}

/** A run in this network namespace that is up. */
export interface LiveRun {
  readonly pid: number;
  /** Whether the process id means something here. */
  readonly isVisible: boolean;
}

/** The runs in this network namespace that are up, or are being taken over right now. */
export function liveRuns(dir: string = JOURNAL_DIR): LiveRun[] {
  return runsHere(dir).filter(({ isUp }) => isUp)
    .map(({ owner }) => ({ pid: owner.pid, isVisible: isAlive(owner) }));
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

/** The readable journals about this network namespace, and whether their runs are up. */
function runsHere(dir: string) {
  return journals(dir).flatMap((path) => {
    const journal = readJournal(path);
    if (journal === undefined || journal === "unreadable" || placeOf(journal.owner) !== "here") return [];
    return [{ path, ...journal, isUp: isAlive(journal.owner) || isInUse(path) }];
  });
}

/** Opens the journals of dead runs here. Removes those whose changes went with their network. */
async function openDeadRuns(dir: string): Promise<{ runs: DeadRun[]; unreadable: Undone[] }> {
  const runs: DeadRun[] = [];
  const unreadable: Undone[] = [];
  removeUnfinished(dir);
  for (const path of journals(dir)) {
    const seen = readJournal(path);
    if (seen === undefined) continue;
    if (seen === "unreadable") {
      const reason = "no journal that this version can read; remove it if its run left nothing behind";
      unreadable.push({ change: path, outcome: "failed", reason });
      continue;
    }
    if (isAlive(seen.owner) || placeOf(seen.owner) === "elsewhere") continue;
    const file = await openUnused(path);
    if (file === undefined) continue;
    // Read again, because only now nobody changes it.
    const journal = readJournal(path);
    if (journal === undefined || journal === "unreadable") file[Symbol.dispose]();
    else if (placeOf(journal.owner) === "nowhere") file.remove();
    else runs.push({ file, ...journal });
  }
  return { runs, unreadable };
}

/** Opens a journal unless its run is up. Another process may be looking at it for a moment. */
async function openUnused(path: string): Promise<JournalFile | undefined> {
  for (let tries = 1;; tries++) {
    const file = JournalFile.open(path);
    if (file !== undefined || tries === IN_USE.tries) return file;
    await sleep(IN_USE.step);
  }
}

/**
 * Undoes a journal's entries, the last one first, and removes it. An entry that cannot be undone
 * stays in it, for another try, and so does one that is to stay.
 *
 * @returns what was undone, and what is left in the journal
 */
async function undoEntries(
  file: JournalFile,
  owner: Owner,
  entries: readonly Entry[],
  stays: (entry: Entry) => boolean = () => false,
): Promise<{ undone: Undone[]; left: Entry[] }> {
  const undone: Undone[] = [];
  const staying = new Set(entries.filter(stays));
  const rest = entries.filter((entry) => !staying.has(entry)).toReversed();
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
      staying.add(entry);
    }
  }
  const left = entries.filter((entry) => staying.has(entry));
  if (left.length === 0) file.remove();
  else if (left.length < entries.length) tryToWrite(file, owner, left);
  return { undone, left };
}

/** Shortens a journal. If it cannot be written, it stays, because undoing twice does no harm. */
function tryToWrite(file: JournalFile, owner: Owner, entries: readonly Entry[]): void {
  try {
    file.write(owner, entries);
  } catch {
    // E.g. a full disk.
  }
}

function isClosing({ keepsClosed = false }: Entry): boolean {
  return keepsClosed;
}

/** Whether undoing one change undoes the other, too. */
function isSame(one: Entry, other: Entry): boolean {
  return toWords(one.undo).join(" ") === toWords(other.undo).join(" ");
}
