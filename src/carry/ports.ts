/**
 * Carrying TCP and UDP: every packet with a complete header. Receiving hosts verify the checksums.
 *
 * @module
 */
import { TcpView } from "../ip/tcp.ts";
import { UdpView } from "../ip/udp.ts";
import type { CarryRow } from "./row.ts";

const tcp = new TcpView();
const udp = new UdpView();

/** Both ports: the first 4 bytes of either header. */
function flowKey(view: DataView, payload: number): number {
  return view.getUint32(payload);
}

/** TCP's row. */
export const TCP: CarryRow = {
  checkOutward: (packet, ip) => tcp.wrap(packet, ip),
  checkHomeward: (packet, ip) => tcp.wrap(packet, ip),
  flowKey,
};

/** UDP's row. */
export const UDP: CarryRow = {
  checkOutward: (packet, ip) => udp.wrap(packet, ip),
  checkHomeward: (packet, ip) => udp.wrap(packet, ip),
  flowKey,
};
