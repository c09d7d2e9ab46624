/**
 * The kinds of exits, as the packet thread sees them: how to make each one's core.
 *
 * @module
 */
import type { IpAddress } from "../ip/address.ts";
import type { ExitMaker } from "../node/exit.ts";
import { EchoExit } from "./echo/core.ts";
import { type IcmpSocket, RawIcmpExit } from "./raw_icmp/core.ts";
import { bindingOf, RawIcmpSocket } from "./raw_icmp/device.ts";
import type { ExitSettings } from "./registry.ts";

/** Records what passes an exit's device. */
interface ExitTap {
  /** A socket that records what passes `inner`, which is bound to an address. */
  socket(inner: IcmpSocket, address: IpAddress): IcmpSocket;
}

/**
 * How to make a router's exit.
 *
 * @param device the descriptor of its device, which somebody else owns and keeps open
 */
export function exitMaker(settings: ExitSettings, device: number | undefined, tap?: ExitTap): ExitMaker {
  switch (settings.kind) {
    case "echo":
      return (deliver, trace) => new EchoExit(settings.block, deliver, trace);
    case "raw-icmp": {
      if (device === undefined) throw new TypeError("a raw ICMP exit needs a socket");
      const raw = new RawIcmpSocket(device, bindingOf(settings));
      const socket = tap?.socket(raw, settings.address) ?? raw;
      return (deliver, trace, random) => new RawIcmpExit(settings, socket, deliver, trace, random);
    }
  }
}
