/**
 * The journal: every change to the host is written down before it is made, with the command that undoes it. A run
 * undoes its own journal on the way out, in reverse; the next run, or `onion down`, undoes those of dead runs.
 *
 * ```
 *   /run/onion/4711.journal      one file a run, one JSON value a line
 *   {"pid":4711,"started":"8123","boot":"d5c94c8b-…","network":"4026531840","cookie":"1"}
 *   {"change":"address 10.5.51.2/24 on tun1","undo":["ip","address","delete","10.5.51.2/24","dev","tun1"]}
 * ```
 *
 * @module
 */
import { ExitCode, OperatorError } from "../errors.ts";
import { BatchError, type Command, execute, executeBatch, isOfIp } from "./execute.ts";
import { isAlive, type Owner, ownerOf, placeOf, startOf } from "./owner.ts";

/** Where journals are. Gone after a reboot, as the changes are. */
export const JOURNAL_DIR = "/run/onion";

/** A change, and the command that undoes it. */
export interface Entry {
  /** What is changed, in a few words. */
  readonly change: string;
  readonly undo: Command;
}

/** What became of one change that was to be undone. */
export interface Undone {
  readonly change: string;
  /** Gone: somebody else has undone it before, or the kernel has when an interface went. */
  readonly outcome: "undone" | "gone" | "failed";
  /** Why, where it failed. */
  readonly reason?: string;
}

/** What ip, nft, iptables and /proc say of something that is not there. */
const GONE = new RegExp([
  "Cannot find device",
  "Address not found",
  "Cannot assign requested address", // the same, of older kernels
  "FIB table does not exist",
  "No such (file or directory|process|device)",
  "Bad rule \\(does a matching rule exist",
  "No chain/target/match by that name",
].join("|"));

/** The journal of this run. Its file exists from the first change to the last undoing. */
export class Journal implements AsyncDisposable {
  readonly #path: string;
  readonly #entries: Entry[] = [];

  /** @param dir where journals are */
  constructor(dir: string = JOURNAL_DIR) {
    this.#path = `${dir}/${Deno.pid}.journal`;
  }

  /**
   * Writes changes down, then makes them.
   *
   * @param entries nothing for a change that needs no undoing
   * @param make makes them in this order; when it throws, none counts as made but those that a {@linkcode BatchError} tells of
   */
  async change(entries: readonly (Entry | undefined)[], make: () => Promise<unknown>): Promise<void> {
    this.#write(entries.filter((entry) => entry !== undefined));
    let done = 0;
    try {
      await make();
      done = entries.length;
    } catch (error) {
      // Where nobody knows, what was not made is found to be gone when it is undone.
      if (error instanceof BatchError) done = error.done ?? entries.length;
      throw error;
    } finally {
      this.#entries.push(...entries.slice(0, done).filter((entry) => entry !== undefined));
      // The others nobody is to undo, whoever goes on without them.
      if (entries.slice(done).some((entry) => entry !== undefined)) replaceEntries(this.#path, this.#entries);
    }
  }

  /** Undoes every change, the last one first, and removes the journal. */
  async undo(): Promise<Undone[]> {
    return await undoJournal(this.#path, this.#entries.splice(0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.undo();
  }

  #write(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
    try {
      if (this.#entries.length > 0) Deno.writeTextFileSync(this.#path, lines, { append: true });
      else create(this.#path, `${JSON.stringify(ownerOf(Deno.pid))}\n${lines}`);
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
 * @param dir where journals are
 * @returns what was undone
 */
export async function undoLeftovers(dir: string = JOURNAL_DIR): Promise<Undone[]> {
  const undone: Undone[] = [];
  removeUnfinished(dir);
  for (const path of journals(dir)) {
    const journal = read(path);
    if (journal === undefined) continue;
    if (journal === "unreadable") {
      const reason = "no journal that this version can read; remove it if its run left nothing behind";
      undone.push({ change: path, outcome: "failed", reason });
      continue;
    }
    if (isAlive(journal.owner)) continue;
    switch (placeOf(journal.owner)) {
      case "here":
        undone.push(...await undoJournal(path, journal.entries));
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
 * What dead runs in this network namespace have left behind.
 *
 * @returns nothing at all if that is not for us to see
 */
export function leftovers(dir: string = JOURNAL_DIR): string[] | undefined {
  if (!mayLook(dir)) return undefined;
  return readableJournals(dir).filter(({ owner }) => placeOf(owner) === "here" && !isAlive(owner))
    .flatMap(({ entries }) => entries.map(({ change }) => change));
}

/** What runs in this network namespace have changed that are still up: the change, and the run's process. */
export function changesOfLiveRuns(dir: string = JOURNAL_DIR): ReadonlyMap<string, number> {
  const live = readableJournals(dir).filter(({ owner }) => placeOf(owner) === "here" && isAlive(owner));
  return new Map(live.flatMap(({ owner, entries }) => entries.map(({ change }) => [change, owner.pid])));
}

/**
 * Makes sure that journals can be read, if there are any.
 *
 * @throws {OperatorError} if they are for others to read
 */
export function requireJournals(dir: string = JOURNAL_DIR): void {
  if (mayLook(dir)) return;
  throw new OperatorError(
    `not permitted to read ${dir}, where runs write down what they change`,
    "run it as root: sudo onion down",
    ExitCode.notPermitted,
  );
}

/** Undoes a journal's changes and removes it; what could not be undone stays in it, and is tried again. */
async function undoJournal(path: string, entries: readonly Entry[]): Promise<Undone[]> {
  const undone: Undone[] = [];
  const left: Entry[] = [];
  const rest = entries.toReversed();
  while (rest.length > 0) {
    const { done, error } = await carriedOut(rest.map(({ undo }) => undo));
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
  else if (left.length < entries.length) replaceEntries(path, left);
  return undone;
}

/** Carries out the first of some commands, or as many as one process can: how many ended well, and why the next did not. */
async function carriedOut(commands: readonly Command[]): Promise<{ done: number; error?: Error }> {
  const [first] = commands;
  const other = commands.findIndex((command) => !isOfIp(command));
  const together = commands.slice(0, other < 0 ? commands.length : other).filter(isOfIp);
  try {
    if (together.length > 1) await executeBatch(together);
    else await execute(first!);
    return { done: Math.max(1, together.length) };
  } catch (error) {
    if (!(error instanceof BatchError)) return { done: 0, error: error as Error };
    // Where nobody knows how far it got, it is tried one by one.
    return error.done === undefined ? await carriedOut([first!]) : { done: error.done, error };
  }
}

function replaceEntries(path: string, entries: readonly Entry[]): void {
  const [header] = Deno.readTextFileSync(path).split("\n");
  create(path, [header, ...entries.map((entry) => JSON.stringify(entry)), ""].join("\n"));
}

/** Writes a journal at one blow. Another run that starts now must never see one without its owner. */
function create(path: string, text: string): void {
  const unfinished = `${path}.${Deno.pid}.new`;
  for (let tries = 3;; tries--) {
    try {
      Deno.mkdirSync(directoryOf(path), { recursive: true, mode: 0o700 });
      Deno.writeTextFileSync(unfinished, text, { mode: 0o600 });
      return Deno.renameSync(unfinished, path);
    } catch (error) {
      // Another run has ended meanwhile, and taken the empty directory away.
      if (!(error instanceof Deno.errors.NotFound) || tries === 0) throw error;
    }
  }
}

/** Removes what was to become a journal, of writers that were killed before it was whole. */
function removeUnfinished(dir: string): void {
  for (const name of namesIn(dir)) {
    const [, pid] = /\.journal\.(\d+)\.new$/.exec(name) ?? [];
    if (pid !== undefined && startOf(Number(pid)) === undefined) removeJournal(`${dir}/${name}`);
  }
}

function journals(dir: string): string[] {
  return namesIn(dir).filter((name) => name.endsWith(".journal")).map((name) => `${dir}/${name}`);
}

function namesIn(dir: string): string[] {
  try {
    return [...Deno.readDirSync(dir)].map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return [];
    throw error;
  }
}

function mayLook(dir: string): boolean {
  try {
    Deno.readDirSync(dir)[Symbol.iterator]().next();
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.PermissionDenied);
  }
}

function readableJournals(dir: string): JournalText[] {
  return journals(dir).map(read).filter((each) => each !== undefined && each !== "unreadable");
}

/** What a journal holds. */
interface JournalText {
  readonly owner: Owner;
  readonly entries: readonly Entry[];
}

/** Reads a journal; there is none any more if its run has ended and removed it just now. */
function read(path: string): JournalText | "unreadable" | undefined {
  const lines = textOf(path)?.split("\n").map(parse);
  if (lines === undefined) return undefined;
  const [owner, ...entries] = lines;
  if (!isOwner(owner)) return "unreadable";
  // A line that was being written when its run died tells of no change that was made.
  return { owner, entries: entries.filter(isEntry) };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isOwner(value: unknown): value is Owner {
  return typeof (Object(value) as Partial<Owner>).pid === "number";
}

function isEntry(value: unknown): value is Entry {
  const { change, undo } = Object(value) as Partial<Entry>;
  return typeof change === "string" && Array.isArray(undo) && undo.length > 0 &&
    undo.every((word) => typeof word === "string");
}

function textOf(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function removeJournal(path: string): void {
  for (const remove of [path, directoryOf(path)]) {
    try {
      Deno.removeSync(remove);
    } catch {
      // Not there, or a directory that other runs still use.
    }
  }
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
