/**
 * Readers of interface names, addresses and blocks, like those in `values.ts`.
 *
 * @module
 */
import { formatIp, type IpAddress, isHostAddress, parseIp } from "../ip/address.ts";
import { addressAt, broadcast, type Cidr, contains, formatCidr, network, parseCidr } from "../ip/cidr.ts";
import type { ExitChoice } from "./settings.ts";
import { type Given, refuse, show } from "./values.ts";

/** Maximum bytes in the name of an interface: the kernel's IFNAMSIZ of 16 counts the final NUL. */
const MAX_NAME = 15;

/** Reads a name that the kernel accepts for a new interface. */
export function readInterface(given: Given): string {
  const fault = nameFault(given.text);
  if (fault !== undefined) throw refuse(given, fault, "choose a name like tun1");
  return given.text;
}

/** Why the kernel rejects an interface's name (`dev_valid_name` in net/core/dev.c). */
function nameFault(name: string): string | undefined {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0) return "an interface needs a name";
  if (bytes.length > MAX_NAME) return `longer than the ${MAX_NAME} bytes that the kernel allows`;
  // The kernel rejects `all` and `default` too, because both exist in /proc/sys/net/ipv4/conf.
  if ([".", "..", "all", "default"].includes(name)) return "the kernel reserves this name";
  // The kernel takes the byte 0xa0 for a space, even inside a UTF-8 sequence. For TUNSETIFF a name
  // with `%` is a pattern.
  if (/[/:%]/.test(name) || bytes.some((byte) => byte <= 0x20 || byte === 0x7f || byte === 0xa0)) {
    return "a name cannot contain a space, '/', ':' or '%'";
  }
  return undefined;
}

/** Remedy for an address that no host can have. */
const HOST_ADDRESSES = "choose one from 1.0.0.0 to 223.255.255.255, except 127.0.0.0/8";

/** Prefix lengths that leave room for a second host and do not cover half the Internet. */
const PREFIX = { min: 8, max: 30 };

/** Reads the address of an interface and its block, e.g. `10.5.51.2/24`. */
export function readAddress(given: Given): Cidr {
  const address = parseIp(given.text);
  if (address !== undefined) {
    throw refuse(given, "the prefix length is missing", `write e.g. ${formatIp(address)}/24`);
  }
  const block = parseCidr(given.text);
  if (block === undefined) {
    throw refuse(given, "not an IPv4 address with a prefix length", "write it like 10.5.51.2/24");
  }
  const { address: own, prefix } = block;
  if (prefix < PREFIX.min || prefix > PREFIX.max) {
    const why = prefix > PREFIX.max ? "leaves no room for another host" : "covers too much of the Internet";
    const remedy = `choose a prefix length from ${PREFIX.min} to ${PREFIX.max}`;
    throw refuse(given, `a /${prefix} ${why}`, remedy);
  }
  if (!isHostAddress(own)) throw refuse(given, "no interface can have this address", HOST_ADDRESSES);
  const first = network(block);
  if (own === first || own === broadcast(block)) {
    const which = own === first ? "network" : "broadcast";
    const reason = `this is the ${which} address of ${formatCidr({ address: first, prefix })}`;
    const [lowest, highest] = [1, -2].map((index) => formatIp(addressAt(block, index)));
    throw refuse(given, reason, `choose a host address, from ${lowest} to ${highest}`);
  }
  return Object.freeze(block);
}

/** Reads the address of a host. */
export function readHost(given: Given): IpAddress {
  const address = parseIp(given.text);
  if (address === undefined) throw refuse(given, "not an IPv4 address", "write it like 10.0.2.15");
  if (!isHostAddress(address)) throw refuse(given, "no host can have this address", HOST_ADDRESSES);
  return address;
}

/** Blocks without hosts: this network, loopback, multicast and above (RFC 6890, RFC 5771). */
const HOSTLESS = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"].map((text) => parseCidr(text)!);

/**
 * Reads a set of blocks and single addresses, e.g. `18.0.0.0/8,128.30.2.155`. Drops duplicates and
 * blocks that lie within another one.
 */
export function readBlocks(given: Given): readonly Cidr[] {
  const read = given.text.split(",").map((text) => readBlock(given, text));
  const blocks = [...new Map(read.map((block) => [formatCidr(block), block])).values()];
  const isNested = (block: Cidr) => blocks.some((other) => other !== block && isWithin(block, other));
  return Object.freeze(blocks.filter((block) => !isNested(block)));
}

function readBlock(given: Given, text: string): Cidr {
  const address = parseIp(text);
  const block = address === undefined ? parseCidr(text) : { address, prefix: 32 };
  if (block === undefined) {
    throw refuse(given, `${show(text)} is not an IPv4 block`, "write blocks like 18.0.0.0/8,128.0.0.0/8");
  }
  const first = network(block);
  if (block.address !== first) {
    const right = formatCidr({ address: first, prefix: block.prefix });
    throw refuse(given, `${text} has bits set after its prefix`, `write ${right}`);
  }
  if (HOSTLESS.some((hostless) => isWithin(block, hostless))) {
    throw refuse(given, `no host has an address in ${text}`, HOST_ADDRESSES);
  }
  return Object.freeze(block);
}

function isWithin(block: Cidr, other: Cidr): boolean {
  return block.prefix >= other.prefix && contains(other, block.address);
}

/** Reads exit interfaces, e.g. `eth1,eth2@192.168.202.1`. */
export function readExits(given: Given): readonly ExitChoice[] {
  return Object.freeze(given.text.split(",").map((text) => readExit(given, text)));
}

function readExit(given: Given, text: string): ExitChoice {
  const remedy = "write it like eth1 or eth1@192.168.201.1";
  const [name = "", address, ...rest] = text.split("@");
  const reason = nameFault(name);
  if (reason !== undefined) throw refuse(given, `${show(name)} is not an interface name: ${reason}`, remedy);
  if (address === undefined) return Object.freeze({ interface: name, gateway: undefined });
  const gateway = parseIp(address);
  if (gateway === undefined || !isHostAddress(gateway) || rest.length > 0) {
    throw refuse(given, `${show(text.slice(name.length + 1))} is not the IPv4 address of a gateway`, remedy);
  }
  return Object.freeze({ interface: name, gateway });
}
