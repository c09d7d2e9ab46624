/**
 * What a host must have before anything on it is changed.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../errors.ts";
import { TUN_DEVICE } from "../sys/tun.ts";
import { hasCapability } from "./capability.ts";

/**
 * Makes sure that proxy and routers can talk to each other. In a network namespace that has just been made, they cannot.
 *
 * @throws {OperatorError} naming what is missing and how to get it
 */
export function requireLoopback(): void {
  if (hasLoopback()) return;
  throw new OperatorError("the loopback interface is down", "run `ip link set lo up`", ExitCode.hostLacks);
}

/**
 * Makes sure that this process may open a TUN interface and that there is something to open.
 *
 * @throws {OperatorError} naming what is missing and how to get it
 */
export function requireTunHost(): void {
  if (!hasCapability("CAP_NET_ADMIN")) {
    throw new OperatorError(
      "not permitted to open a TUN interface",
      "run it as root: sudo onion …",
      ExitCode.notPermitted,
    );
  }
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
}

/** Whether the loopback interface is up. In a new namespace it has no address; taken down, it keeps the one it had. */
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
