/**
 * Changes to network interfaces, as ip(8) makes them (rtnetlink(7)).
 *
 * @module
 */
import { SysError } from "../errors.ts";
import { cString, libcWith } from "./libc.ts";
import { type Change, IFF_UP, LINK_MTU, Message, requestChange } from "./netlink.ts";
import { AF_INET, int } from "./socket.ts";
import { addressBytes, type IpAddress, isLoopback } from "../ip/address.ts";

const libc = libcWith("if_nametoindex", "if_indextoname");

/** `<linux/rtnetlink.h>`: messages and address scopes. */
const RTM_NEWLINK = ["RTM_NEWLINK", Message.newLink] as const;
const RTM_NEWADDR = ["RTM_NEWADDR", Message.newAddress] as const;
const Scope = { universe: 0, host: 254 } as const;
/** `<linux/netlink.h>`: NLM_F_EXCL and NLM_F_CREATE. */
const ANEW = 0x200 | 0x400;
/** `<linux/if_addr.h>` */
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

/** Whether a network interface of this name exists. */
export function interfaceExists(name: string): boolean {
  return interfaceIndex(name) !== 0;
}

/** The index of an interface; 0 if there is none of this name. */
export function interfaceIndex(name: string): number {
  return libc.if_nametoindex(cString(name));
}

/** `<net/if.h>`: bytes of a name, with its final zero. */
const IF_NAMESIZE = 16;

/** The name of an interface; undefined if there is none with this index. */
export function interfaceName(index: number): string | undefined {
  const name = new Uint8Array(IF_NAMESIZE);
  if (libc.if_indextoname(index, name) === null) return undefined;
  return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
}

/**
 * Does what `ip address add ADDRESS/PREFIX dev NAME` does.
 *
 * @throws {SysError} e.g. EEXIST if the interface has the address
 */
export function addAddress(name: string, address: IpAddress, prefix: number): void {
  requestChange(`Cannot give ${name} an address`, addressChange(indexOf(name), address, prefix));
}

/**
 * Does what `ip link set NAME up` does.
 *
 * @throws {SysError}
 */
export function takeUp(name: string): void {
  requestChange(`Cannot take ${name} up`, upChange(indexOf(name)));
}

/**
 * Does what `ip link set NAME mtu BYTES` does.
 *
 * @throws {SysError} e.g. EINVAL if the interface does not support the MTU
 */
export function setMtu(name: string, mtu: number): void {
  requestChange(`Cannot set the MTU of ${name}`, mtuChange(indexOf(name), mtu));
}

/** The change that adds an address to an interface. */
export function addressChange(index: number, address: IpAddress, prefix: number): Change {
  // struct ifaddrmsg: family, prefix length, flags, scope, index.
  const body = new DataView(new ArrayBuffer(8));
  body.setUint8(0, AF_INET);
  body.setUint8(1, prefix);
  body.setUint8(3, isLoopback(address) ? Scope.host : Scope.universe);
  body.setUint32(4, index, true);
  const value = addressBytes(address);
  const attributes = [[IFA_LOCAL, value], [IFA_ADDRESS, value]] as const;
  return { message: RTM_NEWADDR, flags: ANEW, body: bytesOf(body), attributes };
}

/** The change that takes an interface up. */
export function upChange(index: number): Change {
  return { message: RTM_NEWLINK, body: linkMessage(index, IFF_UP), attributes: [] };
}

/** The change that sets an interface's MTU. */
export function mtuChange(index: number, mtu: number): Change {
  return { message: RTM_NEWLINK, body: linkMessage(index, 0), attributes: [[LINK_MTU, int(mtu)]] };
}

/** `struct ifinfomsg`: family, type, index, flags, and the mask of flags to change. */
function linkMessage(index: number, flags: number): Uint8Array {
  const message = new DataView(new ArrayBuffer(16));
  message.setUint32(4, index, true);
  message.setUint32(8, flags, true);
  message.setUint32(12, flags, true);
  return bytesOf(message);
}

function indexOf(name: string): number {
  const index = interfaceIndex(name);
  if (index === 0) throw new SysError(`Cannot find device "${name}"`, "if_nametoindex", "ENODEV");
  return index;
}

function bytesOf({ buffer }: DataView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer);
}
