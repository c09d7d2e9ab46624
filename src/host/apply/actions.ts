/**
 * Carries out actions. Netlink changes an interface itself, and a write changes a sysctl, because
 * starting a program would take longer. All other actions run a program.
 *
 * @module
 */
import { addAddress, setMtu, takeUp } from "../../sys/interface.ts";
import { type Action, toWords } from "../plan/action.ts";
import { BatchError, type BatchOptions, execute, executeBatch, failure, ipCommand } from "./programs.ts";
import { writeSysctl } from "./sysctl.ts";

/**
 * Carries out an action.
 *
 * @throws {OperatorError} if it fails; the message names the command that a person would type
 */
export async function carryOut(action: Action): Promise<void> {
  if (action.kind === "command") return void await execute(action.words);
  try {
    tellKernel(action);
  } catch (cause) {
    throw failure(toWords(action), (cause as Error).message, cause);
  }
}

/**
 * Carries out a single action, or several commands of `ip` with one process.
 *
 * @throws {BatchError} if one of several fails
 */
export async function carryOutTogether(actions: readonly Action[], how?: BatchOptions): Promise<void> {
  const commands = actions.map(ipCommand).filter((each) => each !== undefined);
  if (commands.length > 1) await executeBatch(commands, how);
  else for (const action of actions) await carryOut(action);
}

/**
 * Carries out the first action, or as many as one `ip` process can. Returns how many succeeded, and
 * why the next one failed.
 */
export async function carryOutFirst(actions: readonly Action[]): Promise<{ done: number; error?: Error }> {
  const other = actions.findIndex((action) => ipCommand(action) === undefined);
  const first = actions.slice(0, other < 0 ? actions.length : Math.max(1, other));
  try {
    await carryOutTogether(first);
    return { done: first.length };
  } catch (error) {
    if (!(error instanceof BatchError)) return { done: 0, error: error as Error };
    // If nobody knows how far it got, they are tried one by one.
    return error.done === undefined ? await carryOutFirst(actions.slice(0, 1)) : { done: error.done, error };
  }
}

function tellKernel(action: Exclude<Action, { kind: "command" }>): void {
  switch (action.kind) {
    case "add address":
      return addAddress(action.device, action.block.address, action.block.prefix);
    case "set up":
      return takeUp(action.device);
    case "set MTU":
      return setMtu(action.device, action.mtu);
    case "set sysctl":
      return writeSysctl(action.name, action.value);
  }
}
