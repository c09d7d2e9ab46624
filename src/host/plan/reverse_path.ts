/**
 * The reverse path filter (RFC 3704). A strict filter drops a packet that comes in by another
 * interface than the one its answer would leave by. So it drops packets that come out of a tunnel.
 * A loose filter drops only packets that the host could not answer at all.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../../errors.ts";
import type { Change } from "./change.ts";
import type { HostState } from "./state.ts";

/** Values of `rp_filter` (Documentation/networking/ip-sysctl.rst). */
const STRICT = 1;
const LOOSE = 2;

/**
 * The change that makes the strict filter of an interface loose.
 *
 * @param isTun whether it is the TUN interface, which may not exist yet and then starts with the
 *   default
 */
export function planLooseFilter(device: string, { sysctl }: HostState, isTun: boolean): Change {
  const name = sysctlOf(device);
  const own = sysctl(name) ?? sysctl(sysctlOf("default")) ?? "0";
  // The kernel applies the larger of the two.
  const isStrict = (read: HostState["sysctl"], own: string | undefined) =>
    own !== undefined && Math.max(Number(read(sysctlOf("all")) ?? 0), Number(own)) === STRICT;
  const isThere = !isStrict(sysctl, own);
  return {
    what: `loose reverse path filter on ${device}`,
    isThere,
    ...(!isThere && { kept: { is: ({ sysctl }) => !isStrict(sysctl, sysctl(name)) } }),
    make: { kind: "set sysctl", name, value: `${LOOSE}` },
    undo: { kind: "set sysctl", name, value: own },
    goesWithTun: isTun,
  };
}

/**
 * The change that switches the filter of an interface off. On an interface without an address, the
 * loose filter drops as much as the strict one (`__fib_validate_source` in
 * net/ipv4/fib_frontend.c).
 *
 * @throws {OperatorError} if the filter is on for all interfaces, which is not ours to change
 */
export function planNoFilter(device: string, { sysctl }: HostState): Change {
  const name = sysctlOf(device);
  const own = sysctl(name) ?? "0";
  const all = sysctlOf("all");
  if ((sysctl(all) ?? "0") !== "0") {
    throw new OperatorError(
      `${device} has no address, so ${all} drops the answers that come in by it`,
      `run \`sysctl -w ${all}=0\`, or give ${device} an address`,
      ExitCode.hostLacks,
    );
  }
  return {
    what: `no reverse path filter on ${device}`,
    isThere: own === "0",
    make: { kind: "set sysctl", name, value: "0" },
    undo: { kind: "set sysctl", name, value: own },
  };
}

/** Slashes separate the parts of a name if a part contains dots itself (sysctl(8)). */
function sysctlOf(device: string): string {
  return device.includes(".") ? `net/ipv4/conf/${device}/rp_filter` : `net.ipv4.conf.${device}.rp_filter`;
}
