/**
 * Actions: what can be done to the host, as data. {@linkcode toWords} gives the command that a
 * person would type, for `--print-commands` and for errors. `apply/actions.ts` carries actions out.
 *
 * @module
 */
import { type Cidr, formatCidr } from "../../ip/cidr.ts";

/** A program and its arguments, as a person would type them. */
export type Command = readonly [program: string, ...args: string[]];

/** One thing that is done to the host. */
export type Action =
  | UndoAction
  | { readonly kind: "add address"; readonly device: string; readonly block: Cidr }
  | { readonly kind: "set up"; readonly device: string }
  /** The MTU is in bytes. */
  | { readonly kind: "set MTU"; readonly device: string; readonly mtu: number };

/** An action that undoes another one. The journal holds only these two kinds. */
export type UndoAction =
  | { readonly kind: "command"; readonly words: Command }
  | { readonly kind: "set sysctl"; readonly name: string; readonly value: string };

/** The action that runs a program. */
export function command(...words: Command): UndoAction {
  return { kind: "command", words };
}

/** The words for an action, as a person would type them. */
export function toWords(action: Action): Command {
  switch (action.kind) {
    case "command":
      return action.words;
    case "set sysctl":
      return ["sysctl", "-w", `${action.name}=${action.value}`];
    case "add address":
      return ["ip", "address", "add", formatCidr(action.block), "dev", action.device];
    case "set up":
      return ["ip", "link", "set", action.device, "up"];
    case "set MTU":
      return ["ip", "link", "set", action.device, "mtu", `${action.mtu}`];
  }
}

/** A command, quoted for a shell. */
export function show(command: Command): string {
  return command.map((word) => /^[\w./:=@,%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)
    .join(" ");
}
