/**
 * IPv4 addresses and blocks as people write them. What can be computed of a block is in `wire/cidr.ts`.
 *
 * @module
 */
import type { Cidr } from "../ip/cidr.ts";
import { formatIpv4 } from "../ip/ipv4.ts";

/** One octet of an address: no sign, no blank, and no leading zero, which some programs read as octal. */
const OCTET = /^(0|[1-9]\d{0,2})$/;

/** Reads `10.5.51.2`; `undefined` for anything but four decimal octets. */
export function parseIpv4(text: string): number | undefined {
  const octets = text.split(".");
  if (octets.length !== 4) return undefined;
  let address = 0;
  for (const octet of octets) {
    if (!OCTET.test(octet) || Number(octet) > 255) return undefined;
    address = address * 256 + Number(octet);
  }
  return address;
}

/** Reads `10.5.51.2/24`; `undefined` for anything but an address, a slash and a prefix length of 0 to 32. */
export function parseCidr(text: string): Cidr | undefined {
  const [host, prefix, ...rest] = text.split("/");
  const address = parseIpv4(host ?? "");
  if (address === undefined || prefix === undefined || rest.length > 0) return undefined;
  if (!/^(0|[1-9]\d?)$/.test(prefix) || Number(prefix) > 32) return undefined;
  return { address, prefix: Number(prefix) };
}

/** Writes a block as `10.5.51.2/24`, host bits included. */
export function formatCidr({ address, prefix }: Cidr): string {
  return `${formatIpv4(address)}/${prefix}`;
}
