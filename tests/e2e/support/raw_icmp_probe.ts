/**
 * Sends a fixed set of messages by any ICMP socket, and reports the outcome. As a program, it uses
 * a kernel socket:
 *
 *     deno run -A raw_icmp_probe.ts 192.0.2.1
 *
 * @module
 */
import { HEADROOM } from "../../../src/buffer/packet_buffer.ts";
import type { IcmpSocket, OutgoingFields } from "../../../src/exit/raw_icmp/core.ts";
import { RawIcmpSocket } from "../../../src/exit/raw_icmp/device.ts";
import { openRawIcmp } from "../../../src/sys/raw_icmp.ts";
import { address, echo, pattern, poisoned, readIpv4 } from "../../support/packets.ts";
import { dotted } from "../../support/ping.ts";
import type { IpAddress } from "../../../src/ip/address.ts";

/** The outcome of one message: the result of sending, and the replies. */
export interface Observation {
  readonly sent: string;
  readonly came: readonly string[];
}

const PLAIN = { ttl: 64, typeOfService: 0, dontFragment: false };

/** The bytes of data and header fields of each message. */
const MESSAGES: readonly [size: number, fields: Partial<OutgoingFields>][] = [
  [56, {}],
  [56, { ttl: 9, typeOfService: 0xb8, dontFragment: true }],
  [56, { ttl: 255, typeOfService: 0x03 }],
  [0, {}],
  [1472, { dontFragment: true }],
  [1473, { dontFragment: true }],
  [1473, {}],
  [20_000, {}],
  [20_000, { dontFragment: true }],
  [65_507, {}],
];

/**
 * Pings a host by a socket.
 *
 * @param rest resolves when replies have had time to arrive
 */
export async function probe(
  socket: IcmpSocket,
  destination: IpAddress,
  rest: () => Promise<void>,
): Promise<Observation[]> {
  const observations = [];
  for (const [index, [size, fields]] of MESSAGES.entries()) {
    const message = echo({ id: 0xbeef, sequence: index, data: pattern(size) });
    const sent = socket.send(poisoned(message), HEADROOM, { ...PLAIN, ...fields, destination });
    await rest();
    const came = [];
    for (const into = poisoned(); socket.receive(into);) {
      // The kernel chooses the identification.
      const { source, destination, tos, ttl, dontFragment, moreFragments, offset, payload } = readIpv4(
        into.copy(),
      );
      came.push(JSON.stringify({
        from: dotted(source),
        to: dotted(destination),
        ...{ tos, ttl, dontFragment, moreFragments, offset },
        whole:
          payload.toHex() === echo({ type: 0, id: 0xbeef, sequence: index, data: pattern(size) }).toHex(),
        length: into.length,
      }));
    }
    observations.push({ sent, came });
  }
  return observations;
}

if (import.meta.main) {
  const [own] = Deno.args as [string];
  const binding = { address: address(own), mark: 1, types: [0, 3, 11, 12] };
  using fd = openRawIcmp(binding, 1 << 20);
  const rest = () => new Promise<void>((resolve) => setTimeout(resolve, 5)); // loopback takes less
  console.log(JSON.stringify(await probe(new RawIcmpSocket(fd.number, binding), address(own), rest)));
}
