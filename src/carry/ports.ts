/**
 * Carrying TCP and UDP: whatever the two ends say to each other. Their checksums are for the receiving host to verify.
 *
 * @module
 */
import { TcpView } from "../ip/tcp.ts";
import { UdpView } from "../ip/udp.ts";
import type { CarryRow } from "./row.ts";

const tcp = new TcpView();
const udp = new UdpView();

/** Both ports: the first four bytes of either header. */
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
