/**
 * Carrying TCP and UDP: every packet with a complete header. Receiving hosts verify the checksums.
 *
 * @module
 */
import type { PortsView } from "../ip/ports.ts";
import { TcpView } from "../ip/tcp.ts";
import { UdpView } from "../ip/udp.ts";
import type { CarryRow } from "./row.ts";

/** TCP's row. */
export const TCP: CarryRow = rowOf(new TcpView());

/** UDP's row. */
export const UDP: CarryRow = rowOf(new UdpView());

function rowOf(view: PortsView): CarryRow {
  return {
    checkOutward: (packet, ip) => view.wrap(packet, ip),
    checkHomeward: (packet, ip) => view.wrap(packet, ip),
    /** Both ports. */
    flowKey: (view, payload) => view.getUint32(payload),
  };
}
