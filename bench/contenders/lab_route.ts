/**
 * The kernel alone in the practice network: the same host and number of routers, without a tunnel.
 *
 * @module
 */
import type { Contender } from "../contender.ts";
import { Lab, LAB_HOST } from "../lab.ts";
import { NOTHING_TO_START } from "./veth.ts";

/** Makes the practice network; `stack` removes it. */
export async function makeLabRoute(
  name: string,
  onion: string,
  stack: AsyncDisposableStack,
): Promise<Contender> {
  const lab = stack.use(await Lab.up(onion));
  return {
    name,
    shape: "kernel",
    floor: false,
    kernel: name,
    place: lab.vm,
    targets: { packets: { ...LAB_HOST, device: "eth0" } },
    start: () => Promise.resolve(NOTHING_TO_START),
  };
}
