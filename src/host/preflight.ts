/**
 * Checks that a host has what a run needs, before the run changes anything.
 *
 * @module
 */
import type { Stage } from "../config/stages.ts";
import { ExitCode, OperatorError } from "../errors.ts";
import { EXITS } from "../exit/registry.ts";
import { type Capability, hasCapability } from "../sys/capability.ts";
import { TUN_DEVICE } from "../sys/tun.ts";
import { firewallTool } from "./apply/programs.ts";

/**
 * Makes sure that proxy and routers can talk to each other. In a new network namespace they cannot.
 *
 * @throws {OperatorError} if the loopback interface is down
 */
export function requireLoopback(): void {
  if (hasLoopback()) return;
  throw new OperatorError("the loopback interface is down", "run `ip link set lo up`", ExitCode.hostLacks);
}

/**
 * Makes sure that this process has the privileges that a stage needs, that there is a TUN driver,
 * and a program for the firewall if the stage captures.
 *
 * @throws {OperatorError} with what is missing and how to get it
 */
export function requireTunHost({ exit, captures }: Stage): void {
  requireCapability("CAP_NET_ADMIN", "open a TUN interface");
  const needs = exit === undefined ? [] : EXITS[exit].needs;
  for (const { capability, purpose } of needs) requireCapability(capability, purpose);
  try {
    Deno.statSync(TUN_DEVICE);
  } catch (cause) {
    throw new OperatorError(
      `${TUN_DEVICE} is missing`,
      `load the driver with \`modprobe tun\`, or in a container start it with --device ${TUN_DEVICE}`,
      ExitCode.hostLacks,
      { cause },
    );
  }
  if (captures && firewallTool() === undefined) {
    throw new OperatorError(
      "neither nft nor iptables is here: nothing would bar captured packets",
      "install nftables, e.g. `apt-get install nftables`",
      ExitCode.hostLacks,
    );
  }
}

function requireCapability(capability: Capability, purpose: string): void {
  if (hasCapability(capability)) return;
  throw new OperatorError(
    `not permitted to ${purpose}`,
    "run it as root: sudo onion …",
    ExitCode.notPermitted,
  );
}

/**
 * Whether the loopback interface is up. It has no address in a new namespace, but keeps it when set
 * down.
 */
export function hasLoopback(): boolean {
  return Deno.networkInterfaces().some(({ address }) => address === "127.0.0.1") && !isDown("lo");
}

function isDown(name: string): boolean {
  try {
    return Deno.readTextFileSync(`/sys/class/net/${name}/operstate`).trim() === "down";
  } catch {
    return false;
  }
}
