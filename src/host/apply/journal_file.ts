/**
 * Journals as files: one for each run, one JSON value a line.
 *
 * ```
 *   /run/onion/4711.journal
 *   {"pid":4711,"started":"8123","boot":"d5c94c8b-…","network":"4026531840","cookie":"1"}
 *   {"change":"tun1 up","undo":["ip","link","set","tun1","down"]}
 *   {"change":"…","undo":{"sysctl":"net.ipv4.conf.eth1.rp_filter","value":"1"}}
 *   {"change":"…","undo":["ip","rule","delete",…],"keepsClosed":true}
 * ```
 *
 * The process that uses a journal keeps its file locked: the run while it is up, and later the one
 * process that undoes the changes or takes them over. A process id says less, because another PID
 * namespace may share the directory.
 *
 * Older versions wrote the third line's undo as `["sysctl","-w","NAME=VALUE"]`, said of no change
 * that it keeps a capture closed, and locked nothing. Their journals are still undone.
 *
 * @module
 */
import { SysError } from "../../errors.ts";
import type { Fd } from "../../sys/fd.ts";
import { lockFile } from "../../sys/file.ts";
import { command, type UndoAction } from "../plan/action.ts";
import { type Owner, startOf } from "./owner.ts";

/** The directory of all journals. A reboot empties it, and takes the changes too. */
export const JOURNAL_DIR = "/run/onion";

/** A change, and the action that undoes it. */
export interface Entry {
  /** What is changed, in a few words. */
  readonly change: string;
  readonly undo: UndoAction;
  /** Whether it keeps captured packets from leaving in the clear. */
  readonly keepsClosed?: boolean;
}

/** What a journal holds. */
interface JournalText {
  readonly owner: Owner;
  readonly entries: readonly Entry[];
}

/** A journal's file, which this process alone uses. */
export class JournalFile implements Disposable {
  #path: string;
  /** Undefined before the first write. */
  #lock: Fd | undefined;

  private constructor(path: string, lock?: Fd) {
    this.#path = path;
    this.#lock = lock;
  }

  /** A new journal for this process. Its file exists from the first write on. */
  static create(dir: string): JournalFile {
    return new JournalFile(`${dir}/${Deno.pid}.journal`);
  }

  /** Opens a journal; undefined if another process uses it, or has just changed or removed it. */
  static open(path: string): JournalFile | undefined {
    const lock = lockOf(path);
    return lock === undefined || lock === "missing" ? undefined : new JournalFile(path, lock);
  }

  get path(): string {
    return this.#path;
  }

  /** Writes all of it in one step, because another run must never see half of it. */
  write(owner: Owner, entries: readonly Entry[]): void {
    const lines = [owner, ...entries.map(encodeEntry)];
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    for (let tries = 3;; tries--) {
      // In another PID namespace, a process with our id may be writing too.
      const unfinished = `${this.#path}.${Deno.pid}.${crypto.randomUUID()}.new`;
      try {
        Deno.mkdirSync(directoryOf(this.#path), { recursive: true, mode: 0o700 });
        Deno.writeTextFileSync(unfinished, text, { mode: 0o600, createNew: true });
        return this.#put(unfinished);
      } catch (error) {
        remove(unfinished);
        // Another run ended in between and removed the empty directory.
        if (!isMissing(error) || tries === 0) throw error;
      }
    }
  }

  /** Removes it, and the directory if no other journal is left. */
  remove(): void {
    remove(this.#path);
    this[Symbol.dispose]();
  }

  /** Lets others use it. */
  [Symbol.dispose](): void {
    this.#lock?.[Symbol.dispose]();
    this.#lock = undefined;
  }

  /** Puts a new file in the place of the present one. */
  #put(unfinished: string): void {
    using stack = new DisposableStack();
    const lock = lockFile(unfinished);
    if (lock !== undefined) stack.use(lock);
    if (this.#lock === undefined) this.#claim(unfinished);
    else Deno.renameSync(unfinished, this.#path);
    stack.move();
    this.#lock?.[Symbol.dispose]();
    this.#lock = lock;
  }

  /** Gives a file the first free name. A dead run may have had our process id. */
  #claim(unfinished: string): void {
    for (let number = 2;; number++) {
      try {
        Deno.linkSync(unfinished, this.#path);
        return Deno.removeSync(unfinished);
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        this.#path = `${directoryOf(this.#path)}/${Deno.pid}-${number}.journal`;
      }
    }
  }
}

/** Whether some process uses a journal. */
export function isInUse(path: string): boolean {
  const lock = lockOf(path);
  if (lock !== undefined && lock !== "missing") lock[Symbol.dispose]();
  return lock === undefined;
}

/** The lock of a journal; undefined if another process has it. */
function lockOf(path: string): Fd | "missing" | undefined {
  try {
    const lock = lockFile(path);
    if (lock === undefined) return undefined;
    // Its user may have replaced the file in between, and locks the new one.
    if (Deno.statSync(`/proc/self/fd/${lock.number}`).ino === Deno.statSync(path).ino) return lock;
    lock[Symbol.dispose]();
    return undefined;
  } catch {
    return "missing";
  }
}

/** The paths of all journals in a directory; none if it is missing or may not be read. */
export function journals(dir: string): string[] {
  return namesIn(dir).filter((name) => name.endsWith(".journal")).map((name) => `${dir}/${name}`);
}

/** Reads a journal; undefined if its run has just ended and removed it. */
export function readJournal(path: string): JournalText | "unreadable" | undefined {
  const lines = textOf(path)?.split("\n").map(parse);
  if (lines === undefined) return undefined;
  const [owner, ...entries] = lines;
  if (!isOwner(owner)) return "unreadable";
  // A run that died while it wrote its last line had not begun that change.
  return { owner, entries: entries.map(decodeEntry).filter((entry) => entry !== undefined) };
}

/** Removes half-written journals of writers that were killed. */
export function removeUnfinished(dir: string): void {
  for (const name of namesIn(dir)) {
    const [, pid] = /\.journal\.(\d+)(?:\.[-\w]+)?\.new$/.exec(name) ?? [];
    if (pid !== undefined && startOf(Number(pid)) === undefined) remove(`${dir}/${name}`);
  }
}

/** Whether this process may list the directory. It may if there is none. */
export function mayList(dir: string): boolean {
  try {
    Deno.readDirSync(dir)[Symbol.iterator]().next();
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.PermissionDenied);
  }
}

/** Whether an error says that a file or directory is missing. */
function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || (error instanceof SysError && error.code === "ENOENT");
}

function remove(path: string): void {
  for (const each of [path, directoryOf(path)]) {
    try {
      Deno.removeSync(each);
    } catch {
      // It is missing, or other runs still use the directory.
    }
  }
}

function encodeEntry({ change, undo, keepsClosed }: Entry): unknown {
  return { change, undo: encodeUndo(undo), ...(keepsClosed && { keepsClosed }) };
}

function encodeUndo(undo: UndoAction): unknown {
  return undo.kind === "command" ? undo.words : { sysctl: undo.name, value: undo.value };
}

function decodeEntry(line: unknown): Entry | undefined {
  const { change, undo, keepsClosed } = Object(line) as Record<string, unknown>;
  const action = decodeUndo(undo);
  if (typeof change !== "string" || action === undefined) return undefined;
  return { change, undo: action, ...(keepsClosed === true && { keepsClosed }) };
}

function decodeUndo(value: unknown): UndoAction | undefined {
  if (!Array.isArray(value)) {
    const { sysctl: name, value: text } = Object(value) as Record<string, unknown>;
    if (typeof name !== "string" || typeof text !== "string") return undefined;
    return { kind: "set sysctl", name, value: text };
  }
  const [program, ...args] = value;
  if (program === undefined || value.some((word) => typeof word !== "string")) return undefined;
  const [, name, text] = /^sysctl -w ([^= ]+)=([^ ]*)$/.exec(value.join(" ")) ?? [];
  if (name !== undefined) return { kind: "set sysctl", name, value: text! }; // of an older version
  return command(program, ...args);
}

function namesIn(dir: string): string[] {
  try {
    return [...Deno.readDirSync(dir)].map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return [];
    throw error;
  }
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

function textOf(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
