/**
 * How far apart the fragments of one packet may arrive.
 *
 * The kernel counts the fragments from each address. It drops a packet if more than
 * `ipfrag_max_dist` fragments of other packets (64 by default) arrive between two of its own. The
 * fragments of a long answer arrive at this host twice with the same source. They come from the
 * world to the exit, and then from the tunnel to the client. So the world's next answers arrive
 * between the fragments of the one that the tunnel is still delivering.
 *
 * @module
 */
import type { Change } from "./change.ts";
import type { HostState } from "./state.ts";

/** The max distance (Documentation/networking/ip-sysctl.rst); 0 means no limit. */
const MAX_DISTANCE = "net.ipv4.ipfrag_max_dist";

/**
 * More fragments than any queue on the way holds, and fewer than until an identification repeats.
 */
const FAR = 65_536;

/** The change that lets fragments arrive far apart. */
export function planReassembly({ sysctl }: HostState): Change {
  const is = sysctl(MAX_DISTANCE) ?? "0";
  const isFar = (distance: number) => distance === 0 || distance >= FAR;
  const isThere = isFar(Number(is));
  return {
    what: "fragments far apart are put together",
    isThere,
    ...(!isThere && { kept: { is: ({ sysctl }) => isFar(Number(sysctl(MAX_DISTANCE) ?? 0)) } }),
    make: { kind: "set sysctl", name: MAX_DISTANCE, value: `${FAR}` },
    undo: { kind: "set sysctl", name: MAX_DISTANCE, value: is },
    isOptional: true,
  };
}
