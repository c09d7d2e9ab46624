/**
 * nftables by nfnetlink (`<linux/netfilter/nf_tables.h>`): reports that somebody changed the
 * firewall, and reads the rules of one table.
 *
 * @module
 */
import { SysError } from "../errors.ts";
import type { Fd } from "./fd.ts";
import { cString } from "./libc.ts";
import {
  encodeChange,
  LONGEST,
  messagesIn,
  openMonitor,
  openNetlink,
  sendRequest,
  takeDatagram,
} from "./netlink.ts";

/** `<linux/netlink.h>` */
const NETLINK_NETFILTER = 12;
/** The bit of NFNLGRP_NFTABLES, group 7. */
const GROUPS = 1 << 6;
/** NFNL_SUBSYS_NFTABLES, in the upper byte of a message type, and NFT_MSG_GETRULE. */
const GET_RULE = 10 << 8 | 7;
/** NFT_MSG_NEWRULE. */
const NEW_RULE = 10 << 8 | 6;
/** NFTA_RULE_TABLE */
const RULE_TABLE = 1;
/** `<linux/netlink.h>`: NLM_F_ROOT and NLM_F_MATCH; types of an error and of the last message. */
const DUMP = 0x100 | 0x200;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
/** Bytes of a `struct nfgenmsg`: family, version, and the number of the last transaction. */
const NFGENMSG = 4;
const AF_INET = 2;
/** Bytes of the two headers. */
const HEADERS = 16 + NFGENMSG;

const DOING = "Cannot watch the firewall";

/** Watches the firewall of this process's network namespace. */
export class FirewallMonitor implements Disposable {
  readonly #fd: Fd;
  readonly #buffer = new Uint8Array(LONGEST);

  private constructor(fd: Fd) {
    this.#fd = fd;
  }

  /**
   * Starts to watch.
   *
   * @throws {SysError}
   */
  static open(): FirewallMonitor {
    return new FirewallMonitor(openMonitor(DOING, NETLINK_NETFILTER, GROUPS));
  }

  /**
   * Whether somebody changed something since the last call. Does not block. The changes of
   * `iptables-legacy` are not reported.
   *
   * @throws {SysError}
   */
  hasChanged(): boolean {
    let has = false;
    while (takeDatagram(this.#fd, this.#buffer, DOING) !== undefined) has = true;
    return has;
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

/**
 * The rules of an IPv4 table, as the kernel encodes them. The text is the same as long as nobody
 * changes a rule, and empty if there are none.
 *
 * @throws {SysError}
 */
export function rulesOf(table: string): string {
  const doing = `Cannot read the firewall table ${table}`;
  using socket = openNetlink(doing, NETLINK_NETFILTER);
  const body = new Uint8Array(NFGENMSG);
  body[0] = AF_INET;
  const request = encodeChange({
    message: ["NFT_MSG_GETRULE", GET_RULE],
    flags: DUMP,
    body,
    attributes: [[RULE_TABLE, cString(table)]],
  });
  sendRequest(socket, request, doing);
  const buffer = new Uint8Array(LONGEST);
  const decoder = new TextDecoder("latin1");
  let text = "";
  for (;;) {
    const datagram = takeDatagram(socket, buffer, doing);
    if (datagram === undefined || datagram === "lost") throw new SysError(doing, "recvfrom", "no answer");
    for (const [type, message] of messagesIn(datagram)) {
      if (type === NLMSG_DONE) return text;
      if (type === NLMSG_ERROR) throw new SysError(doing, "NFT_MSG_GETRULE", "refused");
      if (type === NEW_RULE) text += decoder.decode(message.subarray(HEADERS));
    }
  }
}
