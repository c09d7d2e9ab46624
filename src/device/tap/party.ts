/**
 * The members of a network, as capture files show them.
 *
 * @module
 */
import type { AddressNames } from "../../pcap/format.ts";

/** Addresses for documentation, which no network uses (RFC 5737). */
const TEST_NET_1 = parseCidr("192.0.2.0/24")!;
import { addressAt, parseCidr } from "../../ip/cidr.ts";
import type { IpAddress } from "../../ip/address.ts";

/** The number of a member: 0 for the proxy, from 1 for the routers. */
export type Party = number;

/** The name of a member, also in file names. */
export function partyName(party: Party): string {
  return party === 0 ? "proxy" : `router${party}`;
}

/**
 * The address that stands for a member in capture files. On one machine every member has the same
 * address, 127.0.0.1, so captures show an address of TEST-NET-1 instead.
 */
export function partyAddress(party: Party): IpAddress {
  return addressAt(TEST_NET_1, party === 0 ? 254 : party); // 192.0.2.254, 192.0.2.1, …
}

/** The names of members, for a capture file. */
export function partyNames(parties: readonly Party[]): AddressNames[] {
  return parties.map((party) => ({ address: partyAddress(party), names: [partyName(party)] }));
}
