/**
 * The data link between processes of one machine.
 *
 * Before a party carries packets, it sends each neighbour an empty datagram, a greeting, and waits
 * for theirs. So a run that is ready has tried each link in both directions.
 *
 * @module
 */
import type { Endpoint } from "../ip/address.ts";
import { formatEndpoint } from "../ip/address.ts";
import { sleep } from "../sys/timer.ts";
import type { UdpSocket } from "../sys/udp.ts";

/**
 * Bytes that the kernel may queue on a data link's socket: about a hundred fragmented packets of
 * max length.
 */
export const LINK_BUFFER = 4 << 20;

/** Milliseconds that neighbours have for their greeting. */
export const GREETING = 1000;

/** Greets all neighbours of a link. */
export function greetAll(socket: UdpSocket, neighbours: readonly Endpoint[]): void {
  for (const neighbour of neighbours) socket.greet(neighbour);
}

/**
 * Waits until all neighbours have greeted. Call it before a packet thread reads the socket.
 *
 * @param patience milliseconds to wait
 * @returns the indexes of the neighbours that have not
 */
export async function silentNeighbours(
  socket: UdpSocket,
  neighbours: readonly Endpoint[],
  patience: number = GREETING,
): Promise<number[]> {
  const silent = new Map(neighbours.map((neighbour, index) => [formatEndpoint(neighbour), index]));
  const until = performance.now() + patience;
  for (;;) {
    for (let from = socket.takeSender(); from !== undefined; from = socket.takeSender()) {
      silent.delete(formatEndpoint(from));
    }
    if (silent.size === 0 || performance.now() >= until) return [...silent.values()];
    await sleep(1);
  }
}
