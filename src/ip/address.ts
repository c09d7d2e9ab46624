/**
 * IP addresses, and endpoints: an address with a port.
 *
 * An address is opaque outside this room: code can compare, store, and pass it on, but not compute
 * with it. So IPv6 can follow without a change to that code.
 *
 * @module
 */

/**
 * An IP address. Equal addresses are `===`, so an address can be a key of a `Map`. It survives JSON
 * and structured cloning. For arithmetic use the blocks in `cidr.ts`.
 *
 * At run time it is an unsigned 32-bit number, so reading one allocates nothing.
 */
export interface IpAddress {
  /** A brand for the type checker. No such property exists at run time. */
  readonly "IP address": never;
}

/** An address and a UDP or TCP port: one end of a link. */
export interface Endpoint {
  /** The host. */
  readonly address: IpAddress;
  /** The port, 0 to 65,535. */
  readonly port: number;
}

/** An address as an unsigned 32-bit number. For this room, the event ring, and capture files. */
export function addressBits(address: IpAddress): number {
  return address as unknown as number;
}

/** The address with these 32 bits. */
export function addressFromBits(bits: number): IpAddress {
  return bits as unknown as IpAddress;
}

/** 0.0.0.0, which no host has (RFC 1122 §3.2.1.3): the source of a packet that hides its sender. */
export const UNSPECIFIED: IpAddress = addressFromBits(0);

/** 127.0.0.1 (RFC 1122 §3.2.1.3). */
export const LOOPBACK: IpAddress = addressFromBits(0x7f00_0001);

/** One octet: no sign, no blank, and no leading zero, which some programs read as octal. */
const OCTET = /^(0|[1-9]\d{0,2})$/;

/**
 * Parses an address, e.g. `10.5.51.2`. Returns undefined unless the text is four decimal octets.
 */
export function parseIp(text: string): IpAddress | undefined {
  const octets = text.split(".");
  if (octets.length !== 4) return undefined;
  let bits = 0;
  for (const octet of octets) {
    if (!OCTET.test(octet) || Number(octet) > 255) return undefined;
    bits = bits * 256 + Number(octet);
  }
  return addressFromBits(bits);
}

/** Formats an address, e.g. `10.5.51.7`. */
export function formatIp(address: IpAddress): string {
  const bits = addressBits(address);
  return `${bits >>> 24}.${(bits >>> 16) & 0xff}.${(bits >>> 8) & 0xff}.${bits & 0xff}`;
}

/** Formats an endpoint, e.g. `127.0.0.1:40001`. */
export function formatEndpoint({ address, port }: Endpoint): string {
  return `${formatIp(address)}:${port}`;
}

/** Reads the address at `offset`, in network byte order. */
export function readAddress(view: DataView, offset: number): IpAddress {
  return addressFromBits(view.getUint32(offset));
}

/** Writes an address at `offset`, in network byte order. */
export function writeAddress(view: DataView, offset: number, address: IpAddress): void {
  view.setUint32(offset, addressBits(address));
}

/** The bytes of an address, in network byte order. */
export function addressBytes(address: IpAddress): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(4));
  writeAddress(view, 0, address);
  return new Uint8Array(view.buffer);
}

/**
 * A number for an address and a 16-bit number, such as a port or an echo identifier: a `Map` key
 * that allocates nothing. Different pairs have different keys.
 */
export function addressKey(address: IpAddress, low: number): number {
  return addressBits(address) * 0x1_0000 + low;
}

/** The remainder of an address, taken as a number, divided by `count`. */
export function addressModulo(address: IpAddress, count: number): number {
  return addressBits(address) % count;
}

/** Whether the address is one of this host's own, in 127.0.0.0/8 (RFC 1122 §3.2.1.3). */
export function isLoopback(address: IpAddress): boolean {
  return addressBits(address) >>> 24 === 127;
}

/**
 * Whether a single host can have this address: not "this network", loopback, multicast, reserved,
 * or broadcast (RFC 1122 §3.2.1.3).
 */
export function isHostAddress(address: IpAddress): boolean {
  const first = addressBits(address) >>> 24;
  return first !== 0 && first < 224 && !isLoopback(address);
}
