/**
 * From what the user wrote to a value: one reader for each kind of option. A reader gives the value, or throws a
 * {@linkcode ConfigError} that names the option as it was written and says what would be taken.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { formatIp, type IpAddress, isHostAddress, parseIp } from "../ip/address.ts";
import { addressAt, broadcast, type Cidr, contains, formatCidr, network, parseCidr } from "../ip/cidr.ts";
import type { ExitChoice } from "./settings.ts";

/** A value as it was written, and where. */
export interface Given {
  readonly text: string;
  /** The option's name there: `--routers` or `num_routers`. */
  readonly name: string;
  /** Where that is, ready to stand before a message: `lab.conf:3: ` for a file, nothing for the command line. */
  readonly at: string;
}

/** The smallest and the largest value that an option may have. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Text from outside as it may stand in a message: quoted where it needs it, one line, no control characters, not long. */
export function show(text: string): string {
  if (/^[\x21-\x7e]{1,60}$/.test(text)) return text;
  const short = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  // Beyond what JSON escapes: a name must not be able to turn the terminal's text around or draw over it.
  return JSON.stringify(short).replace(
    /[\p{C}\u2028\u2029]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

/** The error of a value that cannot be taken. */
export function refuse(given: Given, reason: string, remedy: string): ConfigError {
  return new ConfigError(`${given.at}${given.name} ${show(given.text)}: ${reason}`, remedy);
}

/**
 * A whole number in a range.
 *
 * @param has who has so many, for the error, e.g. `stage 4 has`
 * @param noun of what, e.g. `router`
 */
export function readCount(given: Given, { min, max }: Range, has: string, noun: string): number {
  const count = /^\d+$/.test(given.text) ? Number(given.text) : NaN;
  if (count >= min && count <= max) return count;
  if (min === max) {
    const nouns = min === 1 ? noun : `${noun}s`;
    throw refuse(given, `${has} exactly ${min} ${nouns}`, `leave it out, or write ${given.name} ${min}`);
  }
  throw refuse(given, `${has} ${min} to ${max} ${noun}s`, `choose a number from ${min} to ${max}`);
}

/** Most bytes in the name of an interface: the kernel's IFNAMSIZ is 16, its closing NUL included. */
const LONGEST_NAME = 15;

/** A name that the kernel takes for a new interface. */
export function readInterface(given: Given): string {
  const fault = nameFault(given.text);
  if (fault !== undefined) throw refuse(given, fault, "choose a name such as tun1");
  return given.text;
}

/** Why the kernel would not take this name for an interface (`dev_valid_name` in net/core/dev.c). */
function nameFault(name: string): string | undefined {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0) return "an interface needs a name";
  if (bytes.length > LONGEST_NAME) return `longer than the ${LONGEST_NAME} bytes that the kernel allows`;
  // `all` and `default` would collide in /proc/sys/net/ipv4/conf, and the kernel refuses them too.
  if ([".", "..", "all", "default"].includes(name)) return "the kernel keeps this name";
  // 0xa0 is a blank to the kernel, even inside a UTF-8 sequence; in TUNSETIFF a `%` makes a pattern of the name.
  if (/[/:%]/.test(name) || bytes.some((byte) => byte <= 0x20 || byte === 0x7f || byte === 0xa0)) {
    return "a name holds no blank, '/', ':' or '%'";
  }
  return undefined;
}

/** The remedy for an address that no host can have. */
const HOST_ADDRESSES = "choose one from 1.0.0.0 to 223.255.255.255 but 127/8";

/** Prefix lengths of a block that holds at least one address besides our own, and is not half the Internet. */
const PREFIX: Range = { min: 8, max: 30 };

/** The address of an interface and its block, as in `10.5.51.2/24`. */
export function readAddress(given: Given): Cidr {
  const address = parseIp(given.text);
  if (address !== undefined) {
    throw refuse(given, "the prefix length is missing", `write ${formatIp(address)}/24, say`);
  }
  const block = parseCidr(given.text);
  if (block === undefined) {
    throw refuse(given, "no IPv4 address with a prefix length", "write it as in 10.5.51.2/24");
  }
  if (block.prefix < PREFIX.min || block.prefix > PREFIX.max) {
    const why = block.prefix > PREFIX.max ? "no room for another host" : "too large a part of the Internet";
    throw refuse(
      given,
      `a /${block.prefix} is ${why}`,
      `choose a prefix length from ${PREFIX.min} to ${PREFIX.max}`,
    );
  }
  if (!isHostAddress(block.address)) {
    throw refuse(given, "no interface can have this address", HOST_ADDRESSES);
  }
  const [first, last] = [network(block), broadcast(block)];
  if (block.address === first || block.address === last) {
    const which = block.address === first ? "network" : "broadcast";
    throw refuse(
      given,
      `the ${which} address of ${formatCidr({ address: first, prefix: block.prefix })}`,
      `choose a host's, from ${formatIp(addressAt(block, 1))} to ${formatIp(addressAt(block, -2))}`,
    );
  }
  return Object.freeze(block);
}

/**
 * A number that names something.
 *
 * @param what the things it may name, for the error, e.g. `priorities`
 */
export function readNumber(given: Given, { min, max }: Range, what: string): number {
  const number = /^\d+$/.test(given.text) ? Number(given.text) : NaN;
  if (number >= min && number <= max) return number;
  throw refuse(given, `${what} go from ${min} to ${max}`, "choose one of those");
}

/** The address of a host. */
export function readHost(given: Given): IpAddress {
  const address = parseIp(given.text);
  if (address === undefined) throw refuse(given, "no IPv4 address", "write it as in 10.0.2.15");
  if (!isHostAddress(address)) throw refuse(given, "no host can have this address", HOST_ADDRESSES);
  return address;
}

/** Blocks without a single host's address: this network, loopback, and all from multicast on (RFC 6890, RFC 5771). */
const HOSTLESS = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"].map((text) => parseCidr(text)!);

/**
 * Blocks and single addresses, as in `18.0.0.0/8,128.30.2.155`. They are a set: what is said twice, or lies within
 * another block, is left out.
 */
export function readBlocks(given: Given): readonly Cidr[] {
  const read = given.text.split(",").map((text) => readBlock(given, text));
  const blocks = [...new Map(read.map((block) => [formatCidr(block), block])).values()];
  return Object.freeze(
    blocks.filter((block) => !blocks.some((other) => other !== block && isWithin(block, other))),
  );
}

function readBlock(given: Given, text: string): Cidr {
  const address = parseIp(text);
  const block = address === undefined ? parseCidr(text) : { address, prefix: 32 };
  if (block === undefined) {
    throw refuse(given, `${show(text)} is no IPv4 block`, "write blocks as in 18.0.0.0/8,128.0.0.0/8");
  }
  const first = network(block);
  if (block.address !== first) {
    const right = formatCidr({ address: first, prefix: block.prefix });
    throw refuse(given, `${text} has bits set behind its prefix`, `write ${right}`);
  }
  if (HOSTLESS.some((hostless) => isWithin(block, hostless))) {
    throw refuse(given, `no host has an address in ${text}`, HOST_ADDRESSES);
  }
  return Object.freeze(block);
}

function isWithin(block: Cidr, other: Cidr): boolean {
  return block.prefix >= other.prefix && contains(other, block.address);
}

/** Exit interfaces, as in `eth1,eth2@192.168.202.1`. */
export function readExits(given: Given): readonly ExitChoice[] {
  return Object.freeze(given.text.split(",").map((text) => readExit(given, text)));
}

function readExit(given: Given, text: string): ExitChoice {
  const remedy = "write it as in eth1 or eth1@192.168.201.1";
  const [name = "", address, ...rest] = text.split("@");
  const reason = nameFault(name);
  if (reason !== undefined) throw refuse(given, `${show(name)} is no interface: ${reason}`, remedy);
  if (address === undefined) return Object.freeze({ interface: name, gateway: undefined });
  const gateway = parseIp(address);
  if (gateway === undefined || !isHostAddress(gateway) || rest.length > 0) {
    throw refuse(given, `${show(text.slice(name.length + 1))} is no gateway's IPv4 address`, remedy);
  }
  return Object.freeze({ interface: name, gateway });
}

/** The name of a directory. Whether there is one is for the caller to see. */
export function readDirectory(given: Given): string {
  if (given.text === "") throw refuse(given, "a directory needs a name", "write . for this one");
  return given.text;
}

/**
 * One of some words.
 *
 * @param what such a word is, for the error, e.g. `level`
 */
export function readWord<Word extends string>(given: Given, words: readonly Word[], what: string): Word {
  const word = words.find((each) => each === given.text);
  if (word === undefined) throw refuse(given, `no such ${what}`, `choose one of ${words.join(", ")}`);
  return word;
}
