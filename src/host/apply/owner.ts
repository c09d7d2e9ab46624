/**
 * Owners of changes: the process of a run, in the network namespace that it changed.
 *
 * @module
 */
import { networkCookie } from "../../sys/netns.ts";

/** The owner of a journal. Its start time tells it from a later process with the same id. */
export interface Owner {
  readonly pid: number;
  /** Clock ticks from boot to the start of the process (proc(5), field 22 of stat). */
  readonly started: string;
  /** The id of that boot, because /run may outlive it. */
  readonly boot: string;
  /**
   * Inode of the network namespace. It can be seen from outside, but a later namespace may reuse
   * it.
   */
  readonly network: string;
  /** The unique number of the namespace, if the kernel has one. */
  readonly cookie?: string;
}

/** The owner record of a process in this network namespace. */
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
 * Where a dead run's changes are, as seen from here; nowhere if they went with their network
 * namespace.
 */
export function placeOf({ boot, network, cookie }: Owner): "here" | "elsewhere" | "nowhere" {
  if (boot !== bootId()) return "nowhere";
  // No other namespace has our inode now: this is ours, or one that had the inode before.
  if (network === networkNamespace()) return cookie === networkCookie() ? "here" : "nowhere";
  return namespaceExists(network) ? "elsewhere" : "nowhere";
}

function bootId(): string {
  return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
}

/** When a process started; undefined if there is none, or only a zombie. */
export function startOf(pid: number): string | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The second field is the program's name in brackets. The name itself may contain brackets.
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
