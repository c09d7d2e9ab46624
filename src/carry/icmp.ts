/**
 * Carrying ICMP: echo requests outward; echo replies and errors homeward.
 *
 * @module
 */
import { echoIdentifier, icmpFault, IcmpType, icmpType, isReport } from "../ip/icmp.ts";
import type { CarryRow } from "./row.ts";

/** ICMP's row. */
export const ICMP: CarryRow = {
  checkOutward(packet, ip) {
    const fault = icmpFault(packet, ip);
    if (fault !== undefined) return fault;
    return icmpType(packet.view, ip.payload) === IcmpType.echoRequest ? undefined : "not-echo-request";
  },
  checkHomeward(packet, ip) {
    const fault = icmpFault(packet, ip);
    if (fault !== undefined) return fault;
    const type = icmpType(packet.view, ip.payload);
    return type === IcmpType.echoReply || isReport(type) ? undefined : "not-a-reply";
  },
  /** Request and reply have one identifier, so it stands for both ports. */
  flowKey(view, payload) {
    const identifier = echoIdentifier(view, payload);
    return identifier * 0x1_0000 + identifier;
  },
};
