/**
 * Tries the loopback interface, which proxy and routers talk over.
 *
 * @module
 */
import { formatIp, type IpAddress, LOOPBACK } from "../ip/address.ts";
import { sleep } from "../sys/timer.ts";
import { UdpSocket } from "../sys/udp.ts";

/** Milliseconds that a datagram has to arrive. It is there when the call that sends it returns. */
const ARRIVAL = 50;

/** Bytes that the kernel may queue for a datagram that is tried. */
const BUFFER = 4096;

/**
 * Sends a datagram from 127.0.0.1 to itself. Returns the source that it arrives with; undefined if
 * it does not arrive.
 */
export async function sourceOnLoopback(): Promise<IpAddress | undefined> {
  using sender = UdpSocket.bind(LOOPBACK, BUFFER);
  using receiver = UdpSocket.bind(LOOPBACK, BUFFER);
  sender.greet({ address: LOOPBACK, port: receiver.localPort });
  const from = receiver.takeSender();
  if (from !== undefined) return from.address;
  await sleep(ARRIVAL);
  return receiver.takeSender()?.address;
}

/**
 * Tells why links over loopback carry nothing, and what to do.
 *
 * @param source what {@linkcode sourceOnLoopback} found
 */
export function explainLoopback(source: IpAddress | undefined): { why: string; remedy: string } {
  if (source === undefined) {
    return {
      why: "a firewall drops datagrams on loopback",
      remedy: "let them pass: accept what comes in by lo",
    };
  }
  if (source === LOOPBACK) {
    return { why: "a firewall drops its datagrams", remedy: "let UDP pass on lo" };
  }
  return {
    why: `a firewall changes the source of packets on loopback to ${formatIp(source)}`,
    remedy: "name the interface in its masquerade or SNAT rule: " +
      'nft `oifname != "lo" masquerade`, iptables `! -o lo -j MASQUERADE`',
  };
}
