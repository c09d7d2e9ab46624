/**
 * Views of packets made by hand.
 *
 * @module
 */
import { Ipv4View } from "../../src/ip/ipv4.ts";
import { echo, ipv4, type Ipv4Header, poisoned } from "./packets.ts";

/** A view of a packet with this header and an echo request. */
export function viewOf(header: Partial<Ipv4Header>): Ipv4View {
  const view = new Ipv4View();
  if (view.wrap(poisoned(ipv4(header, echo()))) !== undefined) throw new TypeError("no packet");
  return view;
}
