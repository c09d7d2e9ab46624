/**
 * `struct msghdr` (recvmsg(2), cmsg(3)): a buffer, an address and one control message, made once and used for every call.
 *
 * @module
 */
import { cStruct, fieldsOf, pointerTo } from "./pointer.ts";

/** Byte offsets and sizes on a 64-bit machine. */
const Message = {
  name: 0,
  nameLength: 8,
  iov: 16,
  iovCount: 24,
  control: 32,
  controlLength: 40,
  size: 56,
} as const;
const Iov = { base: 0, length: 8, size: 16 } as const;
const Control = { length: 0, level: 8, type: 12, data: 16 } as const;

/** Bytes of a control message of up to eight bytes of data: CMSG_SPACE(8). */
const CONTROL = 24;

/** A `struct msghdr` with everything that it points to. */
export class MessageHeader {
  readonly #bytes = cStruct(Message.size);
  readonly #view = fieldsOf(this.#bytes);
  /** What the system call is given. */
  readonly pointer: Deno.PointerObject = pointerTo(this.#bytes);
  readonly #iov = cStruct(Iov.size);
  readonly #iovView = fieldsOf(this.#iov);
  readonly #control = cStruct(CONTROL);
  readonly #controlView = fieldsOf(this.#control);
  /** What the header points to: it must live as long as it does, and its address is asked for only when it changes. */
  #data: Uint8Array<ArrayBuffer> | undefined;
  #offset = 0;
  #address: Address = { low: 0, high: 0 };
  #name: Uint8Array<ArrayBuffer> | undefined;

  /** A message without data and without a name. */
  constructor() {
    setPointer(this.#view, Message.iov, addressOf(this.#iov));
    this.#view.setUint32(Message.iovCount, 1, true);
    setPointer(this.#view, Message.control, addressOf(this.#control));
  }

  /** The data that is sent, or the room that may be filled: `data[offset, offset + length)`. */
  setData(data: Uint8Array<ArrayBuffer>, offset: number, length: number): void {
    if (data !== this.#data || offset !== this.#offset) {
      if (data !== this.#data) this.#address = addressOf(data);
      this.#data = data;
      this.#offset = offset;
      setPointer(this.#iovView, Iov.base, this.#address, offset);
    }
    this.#iovView.setUint32(Iov.length, length, true);
  }

  /** Where to send to, or where the kernel writes who sent: a `struct sockaddr_in`. */
  setName(name: Uint8Array<ArrayBuffer>, address: Address): void {
    if (name === this.#name) return;
    this.#name = name;
    setPointer(this.#view, Message.name, address);
    this.#view.setUint32(Message.nameLength, name.length, true);
  }

  /** Sends one control message along, with a 16-bit value. */
  setControl(level: number, type: number, value: number): void {
    this.#controlView.setUint32(Control.length, Control.data + 2, true);
    this.#controlView.setInt32(Control.level, level, true);
    this.#controlView.setInt32(Control.type, type, true);
    this.#controlView.setUint16(Control.data, value, true);
    this.#view.setUint32(Message.controlLength, CONTROL, true);
  }

  /** Sends no control message. */
  clearControl(): void {
    this.#view.setUint32(Message.controlLength, 0, true);
  }

  /** Makes room for one control message; the kernel has used up the room of the call before. */
  expectControl(): void {
    this.#view.setUint32(Message.controlLength, CONTROL, true);
  }

  /** The 32-bit value of a received control message, or undefined where none of this kind came. */
  control(level: number, type: number): number | undefined {
    if (this.#view.getUint32(Message.controlLength, true) < Control.data + 4) return undefined;
    if (this.#controlView.getInt32(Control.level, true) !== level) return undefined;
    if (this.#controlView.getInt32(Control.type, true) !== type) return undefined;
    return this.#controlView.getInt32(Control.data, true);
  }
}

/** An address in memory, in two halves of 32 bits: 64 of them would be a bigint. */
export interface Address {
  readonly low: number;
  readonly high: number;
}

/** Where bytes lie, as long as somebody holds on to them. */
export function addressOf(bytes: Uint8Array<ArrayBuffer>): Address {
  const address = Deno.UnsafePointer.value(pointerTo(bytes));
  return { low: Number(BigInt.asUintN(32, address)), high: Number(address >> 32n) };
}

/** Writes the address `offset` bytes behind one. */
function setPointer(view: DataView, at: number, { low, high }: Address, offset = 0): void {
  const sum = low + offset;
  view.setUint32(at, sum, true); // modulo 2^32
  view.setUint32(at + 4, sum < 2 ** 32 ? high : high + 1, true);
}
