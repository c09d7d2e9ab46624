/**
 * Asks the kernel which way it would send a packet, as `ip route get` does (rtnetlink(7)). A
 * question takes 25 µs and needs no privilege.
 *
 * @module
 */
import { addressBytes, type IpAddress, readAddress } from "../ip/address.ts";
import { Errno, errnoName } from "./errno.ts";
import type { Fd } from "./fd.ts";
import { interfaceIndex, interfaceName } from "./interface.ts";
import { attributes, encodeRequest, errorOf, exchange, openNetlink } from "./netlink.ts";
import { AF_INET, int } from "./socket.ts";

/** A packet that this host would send. */
export interface RouteQuestion {
  readonly to: IpAddress;
  /** Its source. A socket that is bound to no address has none when the kernel chooses its way. */
  readonly from?: IpAddress;
  readonly mark?: number;
  /** The interface that its socket is bound to. */
  readonly device?: string;
}

/** The way that the kernel chooses. */
export type RouteAnswer =
  /**
   * It leaves by an interface. `table` is the routing table that led it there; undefined if none
   * did, and the packet leaves only because its socket is bound to the interface.
   */
  | {
    readonly kind: "leaves";
    readonly device: string;
    readonly table: number | undefined;
    /** The source that the kernel chooses for a packet without one. */
    readonly source: IpAddress | undefined;
  }
  /** It stays on this host, or goes to everybody on a link. */
  | { readonly kind: "stays" }
  /** It is refused, e.g. `EACCES` by a prohibiting route, `ENETUNREACH` without a route. */
  | { readonly kind: "refused"; readonly error: string };

/** `<linux/rtnetlink.h>`: the request, and the flag that makes the kernel name the table. */
const RTM_GETROUTE = ["RTM_GETROUTE", 26] as const;
const RTM_F_LOOKUP_TABLE = 0x1000;
/** `struct rtmsg`, without the header. */
const Route = { family: 0, destinationLength: 1, sourceLength: 2, type: 7, flags: 8, size: 12 } as const;
/** Bytes of the message header in front of it. */
const HEADER = 16;
/** Types of attributes: RTA_DST, RTA_SRC, RTA_OIF, RTA_PREFSRC, RTA_TABLE, RTA_MARK. */
const Attribute = { destination: 1, source: 2, device: 4, preferredSource: 7, table: 15, mark: 16 } as const;
/** `<linux/rtnetlink.h>`: RTN_UNICAST. */
const UNICAST = 1;

const DOING = "Cannot ask for a route";

/** A socket to ask by. */
export class RouteSocket implements Disposable {
  readonly #fd: Fd = openNetlink(DOING);

  /** @throws {SysError} if the kernel cannot be asked */
  ask(question: RouteQuestion): RouteAnswer {
    const { device } = question;
    const index = device === undefined ? undefined : interfaceIndex(device);
    if (index === 0) return { kind: "refused", error: errnoName(Errno.ENODEV) };
    return decodeAnswer(exchange(this.#fd, encodeQuestion(question, index), DOING), interfaceName);
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

/**
 * Encodes a question.
 *
 * @param index the index of the interface that the packet's socket is bound to
 */
export function encodeQuestion(
  { to, from, mark }: RouteQuestion,
  index: number | undefined,
): Uint8Array<ArrayBuffer> {
  const body = new DataView(new ArrayBuffer(Route.size));
  body.setUint8(Route.family, AF_INET);
  body.setUint8(Route.destinationLength, 32);
  body.setUint8(Route.sourceLength, from === undefined ? 0 : 32);
  body.setUint32(Route.flags, RTM_F_LOOKUP_TABLE, true);
  return encodeRequest({
    message: RTM_GETROUTE,
    body: new Uint8Array(body.buffer),
    attributes: [
      [Attribute.destination, addressBytes(to)],
      ...(from === undefined ? [] : [[Attribute.source, addressBytes(from)] as const]),
      ...(index === undefined ? [] : [[Attribute.device, int(index)] as const]),
      ...(mark === undefined ? [] : [[Attribute.mark, int(mark)] as const]),
    ],
  });
}

/**
 * Decodes an answer.
 *
 * @param nameOf the name of the interface with an index
 */
export function decodeAnswer(
  answer: Uint8Array,
  nameOf: (index: number) => string | undefined,
): RouteAnswer {
  const error = errorOf(answer);
  if (error !== undefined) return { kind: "refused", error: errnoName(error) };
  if ((answer[HEADER + Route.type] ?? UNICAST) !== UNICAST) return { kind: "stays" };
  const values = attributes(answer, HEADER + Route.size);
  const index = numberIn(values.get(Attribute.device));
  const device = index === undefined ? undefined : nameOf(index);
  // The interface may go between question and answer.
  if (device === undefined) return { kind: "refused", error: errnoName(Errno.ENODEV) };
  const source = viewOf(values.get(Attribute.preferredSource));
  return {
    kind: "leaves",
    device,
    // The kernel says 0 if the packet leaves without a route.
    table: numberIn(values.get(Attribute.table)) || undefined,
    source: source && readAddress(source, 0),
  };
}

function numberIn(value: Uint8Array | undefined): number | undefined {
  return viewOf(value)?.getUint32(0, true);
}

/** A view of four bytes; undefined for fewer. */
function viewOf(value: Uint8Array | undefined): DataView | undefined {
  if (value === undefined || value.length < 4) return undefined;
  return new DataView(value.buffer, value.byteOffset, 4);
}
