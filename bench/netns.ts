/**
 * Network namespaces of the bench. None can reach the host or the world: it has its own loopback
 * and what the bench adds, and no device leads out.
 *
 * @module
 */
import { run } from "./command.ts";
import { Place } from "./place.ts";

/** Directory of the names of `ip netns`. */
const NAMES = "/run/netns";

/** `onionbench-PID-LABEL`: the pid lets a later run recognise what a dead one left. */
const PREFIX = "onionbench-";

/** One namespace with loopback up. Disposing of it ends every process inside and removes it. */
export class Netns extends Place implements AsyncDisposable {
  private constructor(readonly name: string) {
    super(["ip", "netns", "exec", name]);
  }

  /** Makes a namespace. `label` distinguishes it from the others of this run. */
  static async make(label: string): Promise<Netns> {
    const netns = new Netns(`${PREFIX}${Deno.pid}-${label}`);
    await run(["ip", "netns", "add", netns.name]);
    // UDP between the processes of a contender needs loopback.
    await netns.ip("link", "set", "lo", "up");
    return netns;
  }

  /** Changes the namespace with `ip`. */
  async ip(...args: string[]): Promise<void> {
    await run(["ip", "-n", this.name, ...args]);
  }

  /** The processes inside. */
  pids(): Promise<number[]> {
    return pidsIn(this.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await remove(this.name);
  }
}

/** Removes the namespaces of killed bench runs. */
export async function sweepDeadRuns(): Promise<void> {
  for (const name of await namesOfBench()) {
    const owner = name.slice(PREFIX.length).split("-")[0];
    const alive = await Deno.stat(`/proc/${owner}`).then(() => true, () => false);
    if (!alive) await remove(name);
  }
}

async function namesOfBench(): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(NAMES));
    return entries.map((entry) => entry.name).filter((name) => /^onionbench-\d+-/.test(name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // no namespace was ever made on this host
    throw error;
  }
}

async function pidsIn(name: string): Promise<number[]> {
  return readPids(await run(["ip", "netns", "pids", name]));
}

/** Parses the output of `ip netns pids`. */
export function readPids(text: string): number[] {
  return text.split("\n").filter((line) => line !== "").map(Number);
}

async function remove(name: string): Promise<void> {
  // A namespace outlives its name while a process is inside.
  for (const pid of await pidsIn(name)) kill(pid);
  await run(["ip", "netns", "delete", name]);
}

function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // it has ended meanwhile
  }
}
