/**
 * The kernel alone: two namespaces joined by a veth pair, and the far one's echo replies. No
 * program can be faster.
 *
 * @module
 */
import type { Contender, Running } from "../contender.ts";
import { Netns } from "../netns.ts";

/** Makes the pair of namespaces; `stack` removes them. */
export async function makeVeth(name: string, stack: AsyncDisposableStack): Promise<Contender> {
  const near = stack.use(await Netns.make(`${name}-near`));
  const far = stack.use(await Netns.make(`${name}-far`));
  await near.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", far.name);
  await near.ip("address", "add", "10.5.52.1/24", "dev", "veth0");
  await far.ip("address", "add", "10.5.52.2/24", "dev", "veth0");
  await far.ip("route", "add", "local", "10.5.56.0/21", "dev", "lo");
  await near.ip("link", "set", "veth0", "up");
  await far.ip("link", "set", "veth0", "up");
  await near.ip("route", "add", "10.5.56.0/21", "via", "10.5.52.2");
  return {
    name,
    shape: "kernel",
    floor: false,
    kernel: name,
    place: near,
    targets: {
      packets: { address: "10.5.52.2", device: "veth0", crowd: "10.5.56.1" },
      streams: { server: far, address: "10.5.52.2" },
    },
    start: () => Promise.resolve(NOTHING_TO_START),
  };
}

/** The program of contenders that consist of the kernel alone. */
export const NOTHING_TO_START: Running = {
  startMs: undefined,
  ended: new AbortController().signal,
  pids: () => Promise.resolve([]),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
