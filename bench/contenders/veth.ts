/**
 * The kernel alone: two namespaces joined by a veth pair, and the far one's own echo replies. No program could be
 * quicker.
 *
 * @module
 */
import type { Contender, Running } from "../contender.ts";
import { Netns } from "../netns.ts";

/** Makes the pair of namespaces; they go with `stack`. */
export async function makeVeth(name: string, stack: AsyncDisposableStack): Promise<Contender> {
  const near = stack.use(await Netns.make(`${name}-near`));
  const far = stack.use(await Netns.make(`${name}-far`));
  await near.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", far.name);
  await near.ip("address", "add", "10.5.52.1/24", "dev", "veth0");
  await far.ip("address", "add", "10.5.52.2/24", "dev", "veth0");
  await near.ip("link", "set", "veth0", "up");
  await far.ip("link", "set", "veth0", "up");
  return {
    name,
    shape: "kernel",
    floor: true,
    netns: near,
    target: "10.5.52.2",
    start: () => Promise.resolve(NOTHING_TO_START),
  };
}

const NOTHING_TO_START: Running = {
  startMs: undefined,
  ended: new AbortController().signal,
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
