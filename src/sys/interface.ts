/**
 * Network interfaces by name.
 *
 * @module
 */
import { cString, libcWith } from "./libc.ts";

const libc = libcWith("if_nametoindex");

/** Whether there is a network interface of this name. */
export function interfaceExists(name: string): boolean {
  return libc.if_nametoindex(cString(name)) !== 0;
}
