/**
 * What both parts of the experiment stand on: the device, the packets, and this program itself.
 *
 * @module
 */
import { interfaceExists } from "../../../src/sys/interface.ts";
import { attachTun } from "../../../src/sys/tun.ts";
import { run } from "../../command.ts";

/** The TUN device, its address, and a host behind it. */
export const DEVICE = "uring0";
export const ADDRESS = "10.66.0.1";
export const HOST = "10.66.0.7";
/** 10.66.0.1, 10.66.0.7 and 127.0.0.1 */
export const [OWN, OTHER, LOOPBACK] = [0x0a42_0001, 0x0a42_0007, 0x7f00_0001];

/** Bytes of the packets, IPv4 and ICMP headers included: those of the bench. */
export const SIZES = [64 + 28, 1400 + 28] as const;

/** The program that {@linkcode run} starts anew for each part. */
export const PROGRAM = new URL("main.ts", import.meta.url).pathname;

/** Makes the device, once nobody holds it any more. */
export async function makeTun() {
  // The ring of a process that has ended is taken down in the background, and holds the device for as long.
  while (interfaceExists(DEVICE)) await new Promise((resolve) => setTimeout(resolve, 5));
  const tun = attachTun(DEVICE);
  await Deno.writeTextFile(`/proc/sys/net/ipv6/conf/${DEVICE}/disable_ipv6`, "1").catch(() => {});
  await run(["ip", "address", "add", `${ADDRESS}/24`, "dev", DEVICE]);
  await run(["ip", "link", "set", DEVICE, "up"]);
  return tun;
}
