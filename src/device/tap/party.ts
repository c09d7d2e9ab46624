/**
 * The members of a network as capture files show them.
 *
 * @module
 */
import type { AddressNames } from "../../pcap/format.ts";

/** Addresses for documentation, which no network has (RFC 5737). */
const TEST_NET_1 = parseCidr("192.0.2.0/24")!;
import { addressAt, parseCidr } from "../../ip/cidr.ts";
import type { IpAddress } from "../../ip/address.ts";

/** A member's number: 0 for the proxy, else a router's, which count from 1. */
export type Party = number;

/** What a member is called, in names of files, too. */
export function partyName(party: Party): string {
  return party === 0 ? "proxy" : `router${party}`;
}

/**
 * The address that stands for a member in capture files. On one machine all of them have 127.0.0.1, and could not be told
 * apart; these are of TEST-NET-1 (RFC 5737), which no network has.
 */
export function partyAddress(party: Party): IpAddress {
  return addressAt(TEST_NET_1, party === 0 ? 254 : party); // 192.0.2.254, 192.0.2.1, …
}

/** The names of these members, for a capture file. */
export function partyNames(parties: readonly Party[]): AddressNames[] {
  return parties.map((party) => ({ address: partyAddress(party), names: [partyName(party)] }));
}
