/**
 * Reassembly: how far apart the kernel lets the fragments of one packet be.
 *
 * It counts the fragments that come from an address, whatever they belong to, and throws a packet
 * away when more than `ipfrag_max_dist` of others came between two of its own (64 by default). A
 * long answer's fragments come to this host twice under the same source: from the world to the
 * exit, and from the tunnel to whoever asked. So the world's next answers come between the
 * fragments of the one that the tunnel is just bringing.
 *
 * @module
 */
import type { Change } from "./change.ts";
import type { HostState } from "./state.ts";

/** Documentation/networking/ip-sysctl.rst. 0 is for no limit. */
const MAX_DISTANCE = "net.ipv4.ipfrag_max_dist";

/**
 * More fragments than wait anywhere on their way, and fewer than it takes until an identification
 * comes again.
 */
const FAR = 65_536;

/** The change that lets fragments be far apart, unless they may be already. */
export function planReassembly({ sysctl }: HostState): Change {
  const is = sysctl(MAX_DISTANCE) ?? "0";
  return {
    what: "fragments far apart are put together",
    isThere: Number(is) === 0 || Number(is) >= FAR,
    make: { kind: "set sysctl", name: MAX_DISTANCE, value: `${FAR}` },
    undo: { kind: "set sysctl", name: MAX_DISTANCE, value: is },
    isOptional: true,
  };
}
