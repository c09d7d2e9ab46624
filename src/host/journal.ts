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
import { OperatorError } from "../errors.ts";
import { networkCookie } from "../sys/netns.ts";
import { type Command, execute } from "./execute.ts";

/** Where journals are. Gone after a reboot, as the changes are. */
export const JOURNAL_DIR = "/run/onion";

/** A change, and the command that undoes it. */
export interface Entry {
  /** What is changed, in a few words. */
  readonly change: string;
  readonly undo: Command;
}

/** Who a journal belongs to: a process, told from a later one with its PID by when it started, in a network namespace. */
interface Owner {
  readonly pid: number;
  /** Clock ticks from boot to the process's start (proc(5), field 22 of stat). */
  readonly started: string;
  /** Which boot that was, for a /run that outlives one. */
  readonly boot: string;
  /** Inode of the network namespace: found again from outside, but used again for a later one. */
  readonly network: string;
  /** The namespace's own number, where the kernel has such. */
  readonly cookie?: string;
}

/** What became of one change that was to be undone. */
export interface Undone {
  readonly change: string;
  /** Gone: somebody else has undone it before, or the kernel has when an interface went. */
  readonly outcome: "undone" | "gone" | "failed";
  /** Why, where it failed. */
  readonly reason?: string;
}

/** What ip, nft and iptables say of something that is not there. */
const GONE =
  /Cannot find device|Cannot assign requested address|No such (file|process|device)|does(n't| not) exist|No chain/i;

/** The journal of this run. Its file exists from the first change to the last undoing. */
export class Journal implements AsyncDisposable {
  readonly #path: string;
  readonly #entries: Entry[] = [];

  /** @param dir where journals are */
  constructor(dir: string = JOURNAL_DIR) {
    this.#path = `${dir}/${Deno.pid}.journal`;
  }

  /**
   * Writes a change down, then makes it.
   *
   * @param make makes the change; when it throws, the change counts as not made
   */
  async change(entry: Entry, make: () => Promise<unknown>): Promise<void> {
    this.#write(entry);
    await make();
    this.#entries.push(entry);
  }

  /** Undoes every change, the last one first, and removes the journal. */
  async undo(): Promise<Undone[]> {
    return await undoJournal(this.#path, this.#entries.splice(0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.undo();
  }

  #write(entry: Entry): void {
    try {
      const dir = directoryOf(this.#path);
      Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
      const line = JSON.stringify(entry) + "\n";
      if (this.#entries.length > 0) return Deno.writeTextFileSync(this.#path, line, { append: true });
      // Another run that starts now must never see a journal without its owner: it would take us for dead.
      const unfinished = `${this.#path}.new`;
      Deno.writeTextFileSync(unfinished, JSON.stringify(owner(Deno.pid)) + "\n" + line, { mode: 0o600 });
      Deno.renameSync(unfinished, this.#path);
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
    const { owner: whose, entries } = read(path);
    if (whose !== undefined && isAlive(whose)) continue;
    switch (whose === undefined ? "here" : placeOf(whose)) {
      case "here":
        undone.push(...await undoJournal(path, entries));
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

/** Undoes a journal's changes and removes it, unless something could not be undone and shall be tried again. */
async function undoJournal(path: string, entries: readonly Entry[]): Promise<Undone[]> {
  const undone: Undone[] = [];
  for (const { change, undo } of entries.toReversed()) {
    try {
      await execute(undo);
      undone.push({ change, outcome: "undone" });
    } catch (error) {
      const reason = (error as Error).message;
      undone.push(GONE.test(reason) ? { change, outcome: "gone" } : { change, outcome: "failed", reason });
    }
  }
  if (undone.every(({ outcome }) => outcome !== "failed")) removeJournal(path);
  return undone;
}

/** Removes journals whose runs were killed before they were whole, and so before any change was made. */
function removeUnfinished(dir: string): void {
  for (const name of namesIn(dir)) {
    const [, pid] = /^(\d+)\.journal\.new$/.exec(name) ?? [];
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

/** A journal's content. A line that was being written when its run died is no change that was made. */
function read(path: string): { owner: Owner | undefined; entries: Entry[] } {
  const values = textOf(path).split("\n").map((line) => {
    try {
      return JSON.parse(line);
    } catch {
      return undefined;
    }
  });
  const entries = values.slice(1).filter((value) => Array.isArray(value?.undo));
  return { owner: typeof values[0]?.pid === "number" ? values[0] : undefined, entries };
}

/** The text of a journal; nothing if its run has ended and removed it just now. */
function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

function owner(pid: number): Owner {
  const cookie = networkCookie();
  const namespace = { boot: bootId(), network: networkNamespace(), ...(cookie !== undefined && { cookie }) };
  return { pid, started: startOf(pid) ?? "", ...namespace };
}

function isAlive({ pid, started, boot }: Owner): boolean {
  return boot === bootId() && startOf(pid) === started;
}

/** Where a dead run's changes are, as seen from here; nowhere, if they went with their network namespace. */
function placeOf({ boot, network, cookie }: Owner): "here" | "elsewhere" | "nowhere" {
  if (boot !== bootId()) return "nowhere";
  // Of the namespaces that there are, only ours has its inode: it is ours, or ours has got the inode after it.
  if (network === networkNamespace()) return cookie === networkCookie() ? "here" : "nowhere";
  return namespaceExists(network) ? "elsewhere" : "nowhere";
}

function bootId(): string {
  return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
}

function startOf(pid: number): string | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The second field is the program's name in brackets and may hold anything, brackets too.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" || state === "X" ? undefined : fields[18];
  } catch {
    return undefined;
  }
}

function networkNamespace(): string {
  return String(Deno.statSync("/proc/self/ns/net").ino);
}

function namespaceExists(inode: string): boolean {
  const has = (path: string) => {
    try {
      return String(Deno.statSync(path).ino) === inode;
    } catch {
      return false;
    }
  };
  const names = (dir: string) => {
    try {
      return [...Deno.readDirSync(dir)].map((entry) => entry.name);
    } catch {
      return [];
    }
  };
  return names("/run/netns").some((name) => has(`/run/netns/${name}`)) ||
    names("/proc").some((pid) => /^\d+$/.test(pid) && has(`/proc/${pid}/ns/net`));
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
