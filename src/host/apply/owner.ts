/**
 * Whose changes are whose: a run outlives neither its process, nor the network namespace that it
 * changed.
 *
 * @module
 */
import { networkCookie } from "../../sys/netns.ts";

/**
 * Who a journal belongs to: a process, told from a later one with its PID by when it started, in a
 * network namespace.
 */
export interface Owner {
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

/** A process of this network namespace, as an owner. */
export function ownerOf(pid: number): Owner {
  const cookie = networkCookie();
  const namespace = { boot: bootId(), network: networkNamespace(), ...(cookie !== undefined && { cookie }) };
  return { pid, started: startOf(pid) ?? "", ...namespace };
}

/** Whether the process still runs. */
export function isAlive({ pid, started, boot }: Owner): boolean {
  return boot === bootId() && startOf(pid) === started;
}

/**
 * Where a dead run's changes are, as seen from here; nowhere, if they went with their network
 * namespace.
 */
export function placeOf({ boot, network, cookie }: Owner): "here" | "elsewhere" | "nowhere" {
  if (boot !== bootId()) return "nowhere";
  // Of the namespaces that there are, only ours has its inode: it is ours, or ours has got the
  // inode after it.
  if (network === networkNamespace()) return cookie === networkCookie() ? "here" : "nowhere";
  return namespaceExists(network) ? "elsewhere" : "nowhere";
}

function bootId(): string {
  return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
}

/** When a process was started; nothing if there is none, or only its remains. */
export function startOf(pid: number): string | undefined {
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
