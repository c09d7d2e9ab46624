/**
 * Makes the network, and removes every trace of it.
 *
 * ```
 *   none ──state file──► in part ──namespaces, links, insides──► complete
 *    ▲                      │                                      │
 *    └──── error, Ctrl+C, or the next up or down after SIGKILL ────┴── down
 * ```
 *
 * @module
 */
import { ExitCode, OperatorError } from "../errors.ts";
import { exists, inode, requirePrograms, run } from "./command.ts";
import { writeNames } from "./exec.ts";
import { hostsFile, type Inside, plan } from "./plan.ts";
import { type LabState, lockLab, NETNS_DIR, readState, removeState, writeState } from "./state.ts";
import { type Faults, topology } from "./topology.ts";

/**
 * Makes the network, completely or not at all. Removes what a killed process left first.
 *
 * @returns false if the network was up already, with the same faults
 * @throws {OperatorError} that names what is missing or in the way
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
    await batch("cannot make the namespaces", [...made, ...links]);
    signal.throwIfAborted();
    await allEnded(insides.map(setUp));
    signal.throwIfAborted();
    writeState({ ...state, isWhole: true });
  } catch (error) {
    await remove(state);
    if (!signal.aborted) throw error;
    throw new OperatorError(`ended by ${signal.reason} before the lab was up`, "nothing of it is left");
  }
  return true;
}

/**
 * Removes the network and everything that runs in it.
 *
 * @returns false if there was nothing to remove
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

/** Whether the network is up, completely. */
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

/** Refuses namespaces with our names that others made, because removal would destroy them. */
function refuseStrangers(namespaces: readonly string[]): void {
  const stranger = namespaces.find((name) => exists(`${NETNS_DIR}/${name}`));
  if (stranger === undefined) return;
  throw new OperatorError(
    `the namespace ${stranger} exists, but it is not the lab's`,
    `if nobody needs it, remove it: ip netns delete ${stranger}`,
  );
}

/** Refuses to remove the lab from inside, because this process would be removed, too. */
function refuseFromInside({ namespaces }: LabState): void {
  const here = networkOf("self");
  if (!namespaces.some((name) => inode(`${NETNS_DIR}/${name}`) === here)) return;
  throw new OperatorError("this process runs inside the lab", "leave the lab first, e.g. with `exit`");
}

/**
 * Sets up one namespace by one shell process. A process for each command would take a second for
 * all namespaces.
 */
async function setUp({ namespace, sysctls, ip, nft }: Inside): Promise<void> {
  const script = [
    "set -e",
    // A file name may be a pattern. A kernel without IPv6 lacks the file.
    'write() { value=$1; shift; for file; do [ ! -e "$file" ] || echo "$value" >"$file"; done; }',
    ...sysctls.map(([file, value]) => `write ${value} /proc/sys/net/${file}`),
    ...hereDocument("ip -batch -", lines(ip)),
    ...nft === "" ? [] : hereDocument("nft -f -", nft),
  ];
  await run(`cannot set up ${namespace}`, ["ip", "netns", "exec", namespace, "sh"], lines(script));
}

/** Carries out commands of ip by one process. */
async function batch(doing: string, commands: readonly string[]): Promise<void> {
  await run(doing, ["ip", "-batch", "-"], lines(commands));
}

function hereDocument(command: string, text: string): string[] {
  return [`${command} <<'.'`, `${text}.`];
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join("");
}

/**
 * Waits for all promises, then throws the first error, so that clean-up meets none that still runs.
 */
async function allEnded(all: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(all)) {
    if (result.status === "rejected") throw result.reason;
  }
}

async function remove({ namespaces, madeNetnsDir }: LabState): Promise<void> {
  const there = namespaces.filter((name) => exists(`${NETNS_DIR}/${name}`));
  await endProcesses(there);
  await batch("cannot remove the namespaces", there.map((name) => `netns delete ${name}`));
  if (madeNetnsDir) await removeNetnsDir();
  removeState();
}

/** Undoes the mount that the first `ip netns add` makes. */
async function removeNetnsDir(): Promise<void> {
  if (!exists(NETNS_DIR) || [...Deno.readDirSync(NETNS_DIR)].length > 0) return;
  await run(`cannot unmount ${NETNS_DIR}`, ["umount", "-n", NETNS_DIR]);
  Deno.removeSync(NETNS_DIR);
}

/**
 * Milliseconds until processes in the lab are killed, until that counts as failed, and between
 * looks.
 */
const ENDING = { asked: 2000, forced: 4000, step: 10 } as const;

/** Ends every process in these namespaces, because a namespace lives as long as its processes. */
async function endProcesses(namespaces: readonly string[]): Promise<void> {
  const networks = new Set(namespaces.map((name) => inode(`${NETNS_DIR}/${name}`)));
  for (let waited = 0;; waited += ENDING.step) {
    const left = processesIn(networks);
    if (left.length === 0) return;
    // SIGTERM first, so that a stage can clean up.
    if (waited === 0) left.forEach((pid) => kill(pid, "SIGTERM"));
    else if (waited >= ENDING.asked) left.forEach((pid) => kill(pid, "SIGKILL"));
    if (waited >= ENDING.forced) {
      throw new OperatorError(
        `process ${left[0]} in the lab does not end`,
        "find out what it waits for, then try again",
      );
    }
    await new Promise((resolve) => setTimeout(resolve, ENDING.step));
  }
}

/** Processes in these namespaces, like `ip netns pids`, but for all at once. */
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
    // The process has ended meanwhile.
  }
}

function networkOf(process: string): number | undefined {
  return inode(`/proc/${process}/ns/net`);
}
