/**
 * Making the network, and removing every trace of it.
 *
 * ```
 *   none ──state file──► in part ──namespaces, links, insides──► whole
 *    ▲                      │                                      │
 *    └──── error, Ctrl+C, or the next up or down after SIGKILL ────┴── down
 * ```
 *
 * @module
 */
import { ExitCode, OperatorError } from "../errors.ts";
import { exists, requirePrograms, run } from "./command.ts";
import { writeNames } from "./exec.ts";
import { hostsFile, type Inside, plan } from "./plan.ts";
import { type LabState, lockLab, NETNS_DIR, readState, removeState, writeState } from "./state.ts";
import { type Faults, topology } from "./topology.ts";

/**
 * Makes the network, wholly or not at all. What a killed run has left of one is removed first.
 *
 * @returns whether it had to be made; it did not where it was there already, with the same faults
 * @throws {OperatorError} naming what is missing or in the way
 */
export async function bringUp(faults: Faults, signal: AbortSignal): Promise<boolean> {
  requireRoot();
  requirePrograms("ip", "nft");
  using _lock = lockLab();
  const before = readState();
  if (before !== undefined) {
    if (isUp(before)) {
      if (sameFaults(before.faults, faults)) return false;
      throw new OperatorError(
        "the lab is up already, with other faults",
        "take it down first: onion lab down",
      );
    }
    await remove(before);
  }
  const network = topology(faults);
  const { namespaces, links, insides } = plan(network);
  refuseStrangers(namespaces);
  const state = { namespaces, faults, madeNetnsDir: !exists(NETNS_DIR), isWhole: false };
  try {
    writeState(state);
    writeNames(hostsFile(network, Deno.hostname()));
    const made = namespaces.map((name) => `netns add ${name}`);
    await run("cannot make the namespaces", ["ip", "-batch", "-"], lines([...made, ...links]));
    signal.throwIfAborted();
    await allEnded(insides.map(setUp));
    signal.throwIfAborted();
    writeState({ ...state, isWhole: true });
  } catch (error) {
    await remove(state);
    if (!signal.aborted) throw error;
    throw new OperatorError(`ended by ${signal.reason} before the lab was up`, "nothing is left of it");
  }
  return true;
}

/**
 * Removes the network and everything that runs in it.
 *
 * @returns whether there was anything to remove
 */
export async function takeDown(): Promise<boolean> {
  requireRoot();
  using _lock = lockLab();
  const state = readState();
  if (state === undefined) return false;
  refuseFromInside(state);
  await remove(state);
  return true;
}

/** Whether the network is there, wholly. */
export function isLabUp(): boolean {
  requireRoot();
  const state = readState();
  return state !== undefined && isUp(state);
}

/** @throws {OperatorError} if it is not */
export function requireUp(): void {
  if (isLabUp()) return;
  throw new OperatorError("the lab is not up", "make it: onion lab up");
}

function requireRoot(): void {
  if (Deno.uid() === 0) return;
  throw new OperatorError(
    "not permitted to use the lab",
    "run it as root: sudo onion lab …",
    ExitCode.notPermitted,
  );
}

function isUp({ isWhole, namespaces }: LabState): boolean {
  return isWhole && namespaces.every((name) => exists(`${NETNS_DIR}/${name}`));
}

function sameFaults(one: Faults, other: Faults): boolean {
  return one.loss === other.loss && one.deadRouter === other.deadRouter && one.smallMtu === other.smallMtu;
}

/** What we have not made, we don't remove either. */
function refuseStrangers(namespaces: readonly string[]): void {
  const stranger = namespaces.find((name) => exists(`${NETNS_DIR}/${name}`));
  if (stranger === undefined) return;
  throw new OperatorError(
    `there is a namespace ${stranger} that is not the lab's`,
    `if nobody needs it, remove it: ip netns delete ${stranger}`,
  );
}

/** Whoever removed the lab from inside would remove itself. */
function refuseFromInside({ namespaces }: LabState): void {
  const here = networkOf("self");
  if (!namespaces.some((name) => inode(`${NETNS_DIR}/${name}`) === here)) return;
  throw new OperatorError("this process is in the lab itself", "leave the lab first, e.g. with `exit`");
}

/**
 * Sets one namespace up, in one process of the shell: a dozen namespaces times a process for each command would take
 * a second.
 */
async function setUp({ namespace, sysctls, ip, nft }: Inside): Promise<void> {
  const script = [
    "set -e",
    // A name may be a pattern, and without IPv6 in the kernel there is nothing to switch off.
    'write() { value=$1; shift; for file; do [ ! -e "$file" ] || echo "$value" >"$file"; done; }',
    ...sysctls.map(([file, value]) => `write ${value} /proc/sys/net/${file}`),
    ...hereDocument("ip -batch -", lines(ip)),
    ...nft === "" ? [] : hereDocument("nft -f -", nft),
  ];
  await run(`cannot set ${namespace} up`, ["ip", "netns", "exec", namespace, "sh"], lines(script));
}

function hereDocument(command: string, text: string): string[] {
  return [`${command} <<'.'`, `${text}.`];
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join("");
}

/** Waits for all, and only then for what went wrong: whoever cleans up must not meet one that is still at work. */
async function allEnded(all: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(all)) {
    if (result.status === "rejected") throw result.reason;
  }
}

async function remove({ namespaces, madeNetnsDir }: LabState): Promise<void> {
  const there = namespaces.filter((name) => exists(`${NETNS_DIR}/${name}`));
  await endProcesses(there);
  await run(
    "cannot remove the namespaces",
    ["ip", "-batch", "-"],
    lines(there.map((name) => `netns delete ${name}`)),
  );
  if (madeNetnsDir) await removeNetnsDir();
  removeState();
}

/** `ip netns add` makes this directory a mount of its own when it is first called, and nothing ever undoes that. */
async function removeNetnsDir(): Promise<void> {
  if (!exists(NETNS_DIR) || [...Deno.readDirSync(NETNS_DIR)].length > 0) return;
  await run(`cannot unmount ${NETNS_DIR}`, ["umount", "-n", NETNS_DIR]);
  Deno.removeSync(NETNS_DIR);
}

/** Milliseconds that processes in the lab have to end by themselves, and then by force, and how often that is looked at. */
const ENDING = { asked: 2000, forced: 4000, step: 10 } as const;

/** Ends every process in these namespaces. A namespace outlives its name for as long as one is in it. */
async function endProcesses(namespaces: readonly string[]): Promise<void> {
  const networks = new Set(namespaces.map((name) => inode(`${NETNS_DIR}/${name}`)));
  for (let waited = 0;; waited += ENDING.step) {
    const left = processesIn(networks);
    if (left.length === 0) return;
    // First asked, so that a stage takes its own things down; then, with whatever has been started meanwhile, made to.
    if (waited === 0) left.forEach((pid) => kill(pid, "SIGTERM"));
    else if (waited >= ENDING.asked) left.forEach((pid) => kill(pid, "SIGKILL"));
    if (waited >= ENDING.forced) {
      throw new OperatorError(
        `process ${left[0]} in the lab does not end`,
        "see what it waits for, then try again",
      );
    }
    await new Promise((resolve) => setTimeout(resolve, ENDING.step));
  }
}

/** As `ip netns pids` finds them, but for all namespaces at once. */
function processesIn(networks: ReadonlySet<number | undefined>): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    const network = pid > 0 ? networkOf(`${pid}`) : undefined;
    return network !== undefined && networks.has(network);
  });
}

function kill(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // It has ended since.
  }
}

function networkOf(process: string): number | undefined {
  return inode(`/proc/${process}/ns/net`);
}

function inode(path: string): number | undefined {
  try {
    return Deno.statSync(path).ino ?? undefined;
  } catch {
    return undefined;
  }
}
