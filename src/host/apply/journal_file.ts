/**
 * Journals as files: one for each run, one JSON value a line.
 *
 * ```
 *   /run/onion/4711.journal
 *   {"pid":4711,"started":"8123","boot":"d5c94c8b-…","network":"4026531840","cookie":"1"}
 *   {"change":"tun1 up","undo":["ip","link","set","tun1","down"]}
 *   {"change":"…","undo":{"sysctl":"net.ipv4.conf.eth1.rp_filter","value":"1"}}
 * ```
 *
 * Older versions wrote the last line's undo as `["sysctl","-w","NAME=VALUE"]`. A journal of theirs
 * is still undone.
 *
 * @module
 */
import { command, type UndoAction } from "../plan/action.ts";
import { type Owner, startOf } from "./owner.ts";

/** The directory of all journals. A reboot empties it, and takes the changes too. */
export const JOURNAL_DIR = "/run/onion";

/** A change, and the action that undoes it. */
export interface Entry {
  /** What is changed, in a few words. */
  readonly change: string;
  readonly undo: UndoAction;
}

/** What a journal holds. */
interface JournalText {
  readonly owner: Owner;
  readonly entries: readonly Entry[];
}

/** The path of a process's journal. */
export function journalPath(dir: string, pid: number): string {
  return `${dir}/${pid}.journal`;
}

/** The paths of all journals in a directory; none if it is missing or may not be read. */
export function journals(dir: string): string[] {
  return namesIn(dir).filter((name) => name.endsWith(".journal")).map((name) => `${dir}/${name}`);
}

/** The journals that can be read. */
export function readableJournals(dir: string): JournalText[] {
  return journals(dir).map(readJournal).filter((each) => each !== undefined && each !== "unreadable");
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

/** Writes a journal in one step, because another run must never see half of one. */
export function writeJournal(path: string, owner: Owner, entries: readonly Entry[]): void {
  const lines = [owner, ...entries.map(({ change, undo }) => ({ change, undo: encodeUndo(undo) }))];
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const unfinished = `${path}.${Deno.pid}.new`;
  for (let tries = 3;; tries--) {
    try {
      Deno.mkdirSync(directoryOf(path), { recursive: true, mode: 0o700 });
      Deno.writeTextFileSync(unfinished, text, { mode: 0o600 });
      return Deno.renameSync(unfinished, path);
    } catch (error) {
      // Another run ended in between and removed the empty directory.
      if (!(error instanceof Deno.errors.NotFound) || tries === 0) throw error;
    }
  }
}

/** Removes a journal, and the directory if no other is left. */
export function removeJournal(path: string): void {
  for (const remove of [path, directoryOf(path)]) {
    try {
      Deno.removeSync(remove);
    } catch {
      // It is missing, or other runs still use the directory.
    }
  }
}

/** Removes half-written journals of writers that were killed. */
export function removeUnfinished(dir: string): void {
  for (const name of namesIn(dir)) {
    const [, pid] = /\.journal\.(\d+)\.new$/.exec(name) ?? [];
    if (pid !== undefined && startOf(Number(pid)) === undefined) removeJournal(`${dir}/${name}`);
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

function encodeUndo(undo: UndoAction): unknown {
  return undo.kind === "command" ? undo.words : { sysctl: undo.name, value: undo.value };
}

function decodeEntry(line: unknown): Entry | undefined {
  const { change, undo } = Object(line) as Record<string, unknown>;
  const action = decodeUndo(undo);
  return typeof change === "string" && action !== undefined ? { change, undo: action } : undefined;
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
