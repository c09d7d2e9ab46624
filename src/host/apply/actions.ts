/**
 * Carries out actions. The kernel is told of an interface's own changes by netlink and of a sysctl
 * by a write, because starting a program takes longer than all of them. Everything else its program
 * does.
 *
 * @module
 */
import { addAddress, setMtu, takeUp } from "../../sys/interface.ts";
import { type Action, toWords } from "../plan/action.ts";
import { execute, failure } from "./programs.ts";
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
