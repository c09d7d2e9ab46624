/**
 * What a host must have before anything on it is changed.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../errors.ts";
import { TUN_DEVICE } from "../sys/tun.ts";

/** Bit of the capability to change interfaces, addresses and routes (capabilities(7)). */
const CAP_NET_ADMIN = 12n;

/**
 * Makes sure that proxy and routers can talk to each other. In a network namespace that has just been made, they cannot.
 *
 * @throws {OperatorError} naming what is missing and how to get it
 */
export function requireLoopback(): void {
  if (Deno.networkInterfaces().some(({ address }) => address === "127.0.0.1")) return;
  throw new OperatorError("the loopback interface is down", "run `ip link set lo up`", ExitCode.hostLacks);
}

/**
 * Makes sure that this process may open a TUN interface and that there is something to open.
 *
 * @throws {OperatorError} naming what is missing and how to get it
 */
export function requireTunHost(): void {
  if (!hasCapability(CAP_NET_ADMIN)) {
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

function hasCapability(bit: bigint): boolean {
  try {
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1] ?? "0";
    return (BigInt(`0x${effective}`) >> bit & 1n) === 1n;
  } catch {
    return Deno.uid() === 0;
  }
}
