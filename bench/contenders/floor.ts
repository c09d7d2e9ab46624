/**
 * The floor programs in C. Each makes its own TUN device and address, as onion does, and both end
 * with it.
 *
 * @module
 */
import type { Contender, Shape } from "../contender.ts";
import { Daemon } from "../daemon.ts";
import { Lab, LAB_HOST, LabAddress } from "../lab.ts";
import { Netns } from "../netns.ts";
import { behindTunnel, CAPTURED, LONGEST_WHOLE, TUNNEL } from "./tunnel.ts";

/**
 * Makes the namespace of a program that answers itself; `stack` removes it.
 *
 * @param wide whether a crowd of hosts is behind its tunnel
 */
export async function makeFloor(
  name: string,
  shape: Shape,
  program: string,
  wide: boolean,
  stack: AsyncDisposableStack,
): Promise<Contender> {
  const netns = stack.use(await Netns.make(name));
  const command = [program, TUNNEL.device, wide ? TUNNEL.wide : TUNNEL.address];
  return {
    name,
    shape,
    floor: true,
    kernel: "veth",
    place: netns,
    targets: { packets: { ...behindTunnel(wide), longest: LONGEST_WHOLE } },
    async start(signal) {
      const { daemon, startMs } = await Daemon.start(netns, name, command, { signal });
      return {
        startMs,
        ended: daemon.ended,
        pids: () => netns.pids(),
        [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
      };
    },
  };
}

/** Makes the practice network of the program with a raw ICMP exit; `stack` removes it. */
export async function makeRawFloor(
  name: string,
  program: string,
  onion: string,
  stack: AsyncDisposableStack,
): Promise<Contender> {
  const lab = stack.use(await Lab.up(onion));
  const table = ["table", String(CAPTURED.table)];
  // The minimum that leads packets into a tunnel: the course's rule and route.
  await lab.vm.run(["ip", "rule", "add", "from", LabAddress.vm, ...table, "priority", "8"]);
  const command = [program, TUNNEL.device, TUNNEL.address, "eth1", LabAddress.exit];
  return {
    name,
    shape: "raw exit",
    floor: true,
    kernel: "lab_route",
    place: lab.vm,
    targets: { packets: { ...LAB_HOST, device: TUNNEL.device, longest: LONGEST_WHOLE } },
    async start(signal) {
      await using made = new AsyncDisposableStack();
      const since = performance.now();
      const { daemon } = await Daemon.start(lab.vm, name, command, { signal });
      made.use(daemon);
      // The route ends with the TUN device.
      await lab.vm.run(["ip", "route", "add", CAPTURED.block, "dev", TUNNEL.device, ...table], { signal });
      const startMs = performance.now() - since;
      const owned = made.move();
      return {
        startMs,
        ended: daemon.ended,
        pids: () => lab.pids(),
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  };
}
