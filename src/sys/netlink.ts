/**
 * rtnetlink(7): reports changes of links, addresses, routes and rules, and requests changes of
 * interfaces.
 *
 * @module
 */
import { Errno, errnoName } from "./errno.ts";
import type { Fd } from "./fd.ts";
import { check, errno, libcWith } from "./libc.ts";
import { pointerTo } from "./pointer.ts";
import { openSocket, SOCK_NONBLOCK, SOCK_RAW } from "./socket.ts";
import { SysError } from "../errors.ts";

const libc = libcWith("bind", "recvfrom", "sendto");

/** `<bits/socket.h>` */
const AF_NETLINK = 16;
/** `<linux/netlink.h>` */
const NETLINK_ROUTE = 0;
/** `<linux/rtnetlink.h>`: RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV4_RULE. */
const GROUPS = 0x01 | 0x10 | 0x40 | 0x80;

/** `<linux/rtnetlink.h>`: the message types in use. */
export const Message = {
  newLink: 16,
  deleteLink: 17,
  newAddress: 20,
  deleteAddress: 21,
  newRoute: 24,
  deleteRoute: 25,
  newRule: 32,
  deleteRule: 33,
} as const;

/** `struct nlmsghdr`: total length, type, flags, sequence number, port. */
const Header = { length: 0, type: 4, flags: 6, size: 16 } as const;
/** `<linux/netlink.h>` */
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
/** The answer. A negative error number, or 0, follows its header. */
const NLMSG_ERROR = 2;
/** `struct ifinfomsg`, with the header. IFF_UP is its lowest flag. */
const Link = { flags: 24, attributes: 32 } as const;
export const IFF_UP = 1;
/** Its cable is plugged in. */
const IFF_LOWER_UP = 0x10000;
/** `struct ifaddrmsg` and `struct rtmsg`, with the header. */
const Address = { attributes: 24 } as const;
const Route = { prefix: 17, attributes: 28 } as const;
/** `struct rtattr`: length, header included, and type; then the value, padded to 4 bytes. */
const Attribute = { length: 0, type: 2, size: 4 } as const;
/** Types of attributes: IFLA_IFNAME and IFLA_MTU, IFA_LABEL, RTA_TABLE. */
const LINK_NAME = 3;
export const LINK_MTU = 4;
const ADDRESS_LABEL = 3;
const ROUTE_TABLE = 15;

/** Bytes of the longest datagram: the size of the kernel's buffers for dumps. */
export const LONGEST = 32_768;

/** Bytes of the longest answer to a single request, which may repeat the request. */
const LONGEST_ANSWER = 4096;

/** A change to the network. */
export type NetworkEvent =
  /** A link has this state now; a removed link is down. */
  | {
    readonly kind: "link";
    readonly name: string;
    readonly isUp: boolean;
    readonly hasCarrier: boolean;
    readonly mtu: number;
  }
  /** An interface gained or lost an IPv4 address. */
  | { readonly kind: "address"; readonly name: string }
  /** An IPv4 route of this table was removed. Not reported for routes that go with their link. */
  | { readonly kind: "route"; readonly table: number }
  /** An IPv4 default route was added, replaced or removed, whatever its table. */
  | { readonly kind: "default route"; readonly table: number }
  /** An IPv4 rule was added or removed. */
  | { readonly kind: "rule" }
  /** Events were lost, because there were too many. */
  | { readonly kind: "much" };

/** Watches the network of this process's namespace. */
export class NetworkMonitor implements Disposable {
  readonly #fd: Fd;
  readonly #buffer = new Uint8Array(LONGEST);

  private constructor(fd: Fd) {
    this.#fd = fd;
  }

  /**
   * Starts to watch. Needs no privilege.
   *
   * @throws {SysError}
   */
  static open(): NetworkMonitor {
    return new NetworkMonitor(openMonitor("Cannot watch the network", NETLINK_ROUTE, GROUPS));
  }

  /**
   * Returns the changes since the last call. Does not block.
   *
   * @throws {SysError}
   */
  take(): NetworkEvent[] {
    const events: NetworkEvent[] = [];
    for (;;) {
      const heard = takeDatagram(this.#fd, this.#buffer, "Cannot watch the network");
      if (heard === undefined) return events;
      if (heard === "lost") events.push({ kind: "much" });
      else events.push(...parseEvents(heard));
    }
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

/** A request: for a change, or a question. */
export interface Change {
  /** The name and number of its message type, e.g. RTM_NEWADDR. */
  readonly message: readonly [name: string, type: number];
  /** Flags besides those of every request, e.g. NLM_F_CREATE. */
  readonly flags?: number;
  /** The structure behind the header. */
  readonly body: Uint8Array;
  /** The attributes behind the body. */
  readonly attributes: readonly (readonly [type: number, value: Uint8Array])[];
}

/**
 * Requests a change. The kernel makes it before the call returns.
 *
 * @param doing the beginning of the error message, e.g. `Cannot take tun1 up`
 * @throws {SysError} with the kernel's reason
 */
export function requestChange(doing: string, change: Change): void {
  using socket = openNetlink(doing);
  const error = errorOf(exchange(socket, encodeChange(change), doing));
  if (error === undefined) throw new SysError(doing, change.message[0], "no answer");
  if (error !== 0) throw new SysError(doing, change.message[0], errnoName(error));
}

/**
 * Sends a request, and returns the kernel's answer, which is there before the call returns.
 *
 * @param doing the beginning of the error message
 * @throws {SysError}
 */
export function exchange(socket: Fd, request: Uint8Array<ArrayBuffer>, doing: string): Uint8Array {
  check(libc.sendto(socket.number, pointerTo(request), request.length, 0, null, 0), doing, "sendto");
  const answer = new Uint8Array(LONGEST_ANSWER);
  const received = libc.recvfrom(socket.number, answer, answer.length, 0, null, null);
  return answer.subarray(0, check(received, doing, "recvfrom"));
}

/** The error number in an answer, 0 for success; undefined for an answer of another type. */
export function errorOf(answer: Uint8Array): number | undefined {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  if (answer.length < Header.size + 4 || view.getUint16(Header.type, true) !== NLMSG_ERROR) return undefined;
  return -view.getInt32(Header.size, true);
}

/** Encodes a request for a change, which the kernel acknowledges. */
export function encodeChange({ flags = 0, ...change }: Change): Uint8Array<ArrayBuffer> {
  return encodeRequest({ ...change, flags: flags | NLM_F_ACK });
}

/** Encodes a request. */
export function encodeRequest(
  { message: [, type], flags = 0, body, attributes }: Change,
): Uint8Array<ArrayBuffer> {
  const sizes = attributes.map(([, value]) => aligned(Attribute.size + value.length));
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, Header.size + aligned(body.length)));
  const view = new DataView(bytes.buffer);
  view.setUint32(Header.length, bytes.length, true);
  view.setUint16(Header.type, type, true);
  view.setUint16(Header.flags, NLM_F_REQUEST | flags, true);
  bytes.set(body, Header.size);
  let at = Header.size + aligned(body.length);
  attributes.forEach(([type, value], index) => {
    view.setUint16(at + Attribute.length, Attribute.size + value.length, true);
    view.setUint16(at + Attribute.type, type, true);
    bytes.set(value, at + Attribute.size);
    at += sizes[index]!;
  });
  return bytes;
}

/** Opens a socket for requests. */
export function openNetlink(doing: string, protocol = NETLINK_ROUTE, flags = 0): Fd {
  return openSocket(doing, AF_NETLINK, SOCK_RAW | flags, protocol);
}

/** Opens a socket that never blocks and hears these groups, a bit each. */
export function openMonitor(doing: string, protocol: number, groups: number): Fd {
  return openNetlink(doing, protocol, SOCK_NONBLOCK).prepared((number) => {
    // struct sockaddr_nl: family, padding, port (0: the kernel chooses), groups.
    const address = new Uint8Array(12);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(8, groups, true);
    check(libc.bind(number, address, address.length), doing, "bind");
  });
}

/**
 * Takes the next datagram from a socket. Returns undefined if none has come, and `lost` if the
 * socket's queue overflowed; what it holds can still be read.
 */
export function takeDatagram(
  fd: Fd,
  buffer: Uint8Array<ArrayBuffer>,
  doing: string,
): Uint8Array<ArrayBuffer> | "lost" | undefined {
  const length = libc.recvfrom(fd.number, buffer, buffer.length, 0, null, null);
  const error = length < 0 ? errno() : 0;
  if (error === Errno.EAGAIN || error === Errno.EINTR) return undefined;
  if (error === Errno.ENOBUFS) return "lost";
  if (error !== 0) throw new SysError(doing, "recvfrom", errnoName(error));
  return buffer.subarray(0, length);
}

/** Sends a request. */
export function sendRequest(fd: Fd, request: Uint8Array<ArrayBuffer>, doing: string): void {
  check(libc.sendto(fd.number, pointerTo(request), request.length, 0, null, 0), doing, "sendto");
}

/** The messages of a datagram, each with its type. */
export function* messagesIn(bytes: Uint8Array): Generator<[type: number, message: Uint8Array]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + Header.size <= bytes.length;) {
    const length = view.getUint32(at + Header.length, true);
    if (length < Header.size || at + length > bytes.length) break;
    yield [view.getUint16(at + Header.type, true), bytes.subarray(at, at + length)];
    at += aligned(length);
  }
}

/** Decodes the messages of a datagram. Ignores other types. */
export function parseEvents(bytes: Uint8Array): NetworkEvent[] {
  return [...messagesIn(bytes)].map(([type, message]) => parseEvent(message, type))
    .filter((event) => event !== undefined);
}

function parseEvent(bytes: Uint8Array, type: number): NetworkEvent | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case Message.newLink:
    case Message.deleteLink: {
      const values = attributes(bytes, Link.attributes);
      const flags = bytes.length < Link.attributes ? 0 : view.getUint32(Link.flags, true);
      const has = (flag: number) => type === Message.newLink && (flags & flag) !== 0;
      return {
        kind: "link",
        name: text(values.get(LINK_NAME)),
        isUp: has(IFF_UP),
        hasCarrier: has(IFF_LOWER_UP),
        mtu: number(values.get(LINK_MTU)),
      };
    }
    case Message.newAddress:
    case Message.deleteAddress: {
      // The label may have a suffix, e.g. `eth1:2`.
      const [name = ""] = text(attributes(bytes, Address.attributes).get(ADDRESS_LABEL)).split(":");
      return { kind: "address", name };
    }
    case Message.newRoute:
    case Message.deleteRoute: {
      const table = number(attributes(bytes, Route.attributes).get(ROUTE_TABLE));
      if (bytes[Route.prefix] === 0) return { kind: "default route", table };
      return type === Message.deleteRoute ? { kind: "route", table } : undefined;
    }
    case Message.newRule:
    case Message.deleteRule:
      return { kind: "rule" };
    default:
      return undefined;
  }
}

/** A message's attributes by type. */
export function attributes(bytes: Uint8Array, start: number): Map<number, Uint8Array> {
  const values = new Map<number, Uint8Array>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = start; at + Attribute.size <= bytes.length;) {
    const length = view.getUint16(at + Attribute.length, true);
    if (length < Attribute.size || at + length > bytes.length) break;
    values.set(view.getUint16(at + Attribute.type, true), bytes.subarray(at + Attribute.size, at + length));
    at += aligned(length);
  }
  return values;
}

const aligned = (length: number) => (length + 3) & ~3;

/** Zero-terminated text. */
function text(value: Uint8Array = new Uint8Array()): string {
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

/** A 32-bit number; 0 if the attribute is missing. */
function number(value: Uint8Array = new Uint8Array()): number {
  return value.length < 4 ? 0 : new DataView(value.buffer, value.byteOffset).getUint32(0, true);
}
