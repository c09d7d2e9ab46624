/**
 * `ping` and `traceroute` by hand: what they send, check and print. It uses nothing of `src/ip`.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  address,
  cutPlainly,
  echo,
  ipv4,
  joinPlainly,
  pattern,
  type PlainPacket,
  readIpv4,
} from "./packets.ts";
import type { IpAddress } from "../../src/ip/address.ts";

/** One request of `ping`. */
export interface Ping {
  readonly source: string;
  readonly destination: string;
  readonly id: number;
  readonly sequence: number;
  /** `-t` */
  readonly ttl: number;
  /** `-Q` */
  readonly tos: number;
  /** `-M do` */
  readonly dontFragment: boolean;
  /** `-s`, in bytes. */
  readonly size: number;
  /** Header options, a multiple of 4 bytes. */
  readonly options: Uint8Array;
}

/** The defaults of `ping`. */
const ORDINARY: Ping = {
  source: "10.0.2.15",
  destination: "128.30.2.155",
  id: 7,
  sequence: 1,
  ttl: 64,
  tos: 0,
  dontFragment: false,
  size: 56,
  options: new Uint8Array(),
};

/** The ICMP message of a request, with data that no other has. */
export function messageOf({ id, sequence, size }: Ping): Uint8Array<ArrayBuffer> {
  return echo({ id, sequence, data: pattern(size, id + 3 * sequence) });
}

/** A request with defaults. */
export function pingOf(ping: Partial<Ping> = {}): Ping {
  return { ...ORDINARY, ...ping };
}

/** The packets that the kernel makes of a request for an interface with this MTU. */
export function packetsOf(ping: Ping, mtu = 1500): Uint8Array<ArrayBuffer>[] {
  const { source, destination, ttl, tos, dontFragment, options, id, sequence } = ping;
  const header = { source, destination, ttl, tos, dontFragment, options, id: (id * 31 + sequence) & 0xffff };
  const whole = ipv4(header, messageOf(ping).subarray(0, 65_535 - 20 - options.length));
  if (whole.length <= mtu) return [whole];
  assert.ok(!dontFragment, "the kernel would not have sent this");
  return cutPlainly(header, messageOf(ping), (mtu - 20 - options.length) & ~7);
}

/** A whole ICMP message with valid checksums. */
export interface Heard extends PlainPacket {
  readonly type: number;
  readonly code: number;
}

/** Reads and reassembles the packets that an interface of this MTU received. */
export function hear(packets: readonly Uint8Array[], mtu = 1500): Heard[] {
  const datagrams = new Map<string, Uint8Array[]>();
  for (const [index, bytes] of packets.entries()) {
    assert.ok(bytes.length <= mtu, `${bytes.length} bytes for an interface of ${mtu}`);
    const { source, destination, id, offset, moreFragments } = readIpv4(bytes);
    const isFragment = moreFragments || offset > 0;
    const key = isFragment ? `${source} ${destination} ${id}` : `whole ${index}`;
    datagrams.set(key, [...datagrams.get(key) ?? [], bytes]);
  }
  return [...datagrams.values()].map((fragments) => {
    const payload = joinPlainly(fragments);
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    assert.equal(view.getUint16(2), checksumOf(payload), "the ICMP checksum");
    return { ...readIpv4(fragments[0]!), payload, type: payload[0]!, code: payload[1]! };
  });
}

/** The right checksum of a message. */
function checksumOf(message: Uint8Array): number {
  const { buffer, byteOffset } = echo({
    type: message[0]!,
    code: message[1]!,
    id: message[4]! << 8 | message[5]!,
    sequence: message[6]! << 8 | message[7]!,
    data: message.subarray(8),
  });
  return new DataView(buffer, byteOffset).getUint16(2);
}

/** The message as `ping` prints it. */
export function tell(heard: Heard): string {
  const { type, code, payload, ttl } = heard;
  const from = dotted(heard.source);
  const word = (at: number) => payload[at]! << 8 | payload[at + 1]!;
  if (type === 0) return `reply from ${from}: id ${word(4)}, seq ${word(6)}, ttl ${ttl}`;
  const what = ERRORS[`${type} ${code}`] ?? `type ${type} code ${code}`;
  return word(6) === 0 ? `${from}: ${what}` : `${from}: ${what}, mtu ${word(6)}`;
}

/** ICMP errors in words, by type and code. */
const ERRORS: Readonly<Record<string, string>> = {
  "3 0": "net unreachable",
  "3 1": "host unreachable",
  "3 4": "fragmentation needed",
  "3 13": "prohibited",
  "11 0": "time exceeded",
  "12 0": "parameter problem",
};

/** Formats an address. */
export function dotted(address: IpAddress): string {
  const bits = address as unknown as number;
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join(".");
}

/**
 * Asserts that a message answers a request: addresses swapped, data unchanged.
 */
export function assertAnswers(heard: Heard, ping: Ping): void {
  assert.equal(dotted(heard.destination), ping.source, "for another client");
  assert.equal(dotted(heard.source), ping.destination, "from another host");
  assert.equal(heard.type, 0);
  assert.deepEqual(
    heard.payload.subarray(4),
    messageOf(ping).subarray(4),
    "identifier, sequence number or data",
  );
}

/**
 * Asserts that `ping` and `traceroute` recognise an error as theirs. The quote has the addresses
 * and the identifier as sent, a valid header checksum, and unchanged bytes of the ICMP message,
 * including its checksum.
 */
export function assertQuotes(heard: Heard, ping: Ping): void {
  assert.equal(dotted(heard.destination), ping.source, "for another client");
  const quote = heard.payload.subarray(8);
  const headerLength = (quote[0]! & 15) * 4;
  const view = new DataView(quote.buffer, quote.byteOffset, quote.length);
  // The header's length field keeps the original length, although the quote is cut.
  const header = new Uint8Array(view.getUint16(2));
  header.set(quote.subarray(0, header.length));
  const quoted = readIpv4(header);
  assert.equal(quoted.protocol, 1);
  assert.equal(quoted.source, address(ping.source), "the quoted source");
  assert.equal(quoted.destination, address(ping.destination), "the quoted destination");
  assert.equal(quoted.tos, ping.tos, "the quoted type of service");
  assert.equal(quoted.dontFragment, ping.dontFragment, "the quoted don't fragment");
  assert.equal(quoted.offset, 0, "nobody complains about a later fragment");
  assert.ok(quoted.ttl <= ping.ttl);
  const message = quote.subarray(headerLength);
  assert.ok(message.length >= 8, "at least 8 bytes of the message (RFC 792)");
  assert.deepEqual(message, messageOf(ping).subarray(0, message.length), "the quoted message");
}
