/**
 * The floor programs in C. Each makes its own TUN device and address, like ours, and takes them along.
 *
 * @module
 */
import type { Contender, Shape } from "../contender.ts";
import { Daemon } from "../daemon.ts";
import { Netns } from "../netns.ts";

/** Makes the namespace of `program`; it goes with `stack`. */
export async function makeFloor(
  name: string,
  shape: Shape,
  program: string,
  stack: AsyncDisposableStack,
): Promise<Contender> {
  const netns = stack.use(await Netns.make(name));
  const command = [program, "tun1", "10.5.51.2"];
  return {
    name,
    shape,
    floor: true,
    netns,
    target: "10.5.51.7",
    async start(signal) {
      const { daemon, startMs } = await Daemon.start(netns, name, command, { cwd: "/", signal });
      return { startMs, ended: daemon.ended, [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose]() };
    },
  };
}
