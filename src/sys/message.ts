/**
 * `struct msghdr` (recvmsg(2), cmsg(3)) with a buffer, an address and one control message. Created
 * once and reused for each call.
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

/** A `struct msghdr` and everything that it points to. */
export class MessageHeader {
  readonly #bytes = cStruct(Message.size);
  readonly #view = fieldsOf(this.#bytes);
  /** The argument for the system call. */
  readonly pointer: Deno.PointerObject = pointerTo(this.#bytes);
  readonly #iov = cStruct(Iov.size);
  readonly #iovView = fieldsOf(this.#iov);
  readonly #control = cStruct(CONTROL);
  readonly #controlView = fieldsOf(this.#control);
  /** The buffer in use, kept alive here. Its address is looked up only when the buffer changes. */
  #data: Uint8Array<ArrayBuffer> | undefined;
  #offset = 0;
  #address: Address = { low: 0, high: 0 };
  #name: Uint8Array<ArrayBuffer> | undefined;

  /** A message without data and address. */
  constructor() {
    setPointer(this.#view, Message.iov, addressOf(this.#iov));
    this.#view.setUint32(Message.iovCount, 1, true);
    setPointer(this.#view, Message.control, addressOf(this.#control));
  }

  /** Sets the data to send, or the space to fill: `data[offset, offset + length)`. */
  setData(data: Uint8Array<ArrayBuffer>, offset: number, length: number): void {
    if (data !== this.#data || offset !== this.#offset) {
      if (data !== this.#data) this.#address = addressOf(data);
      this.#data = data;
      this.#offset = offset;
      setPointer(this.#iovView, Iov.base, this.#address, offset);
    }
    this.#iovView.setUint32(Iov.length, length, true);
  }

  /**
   * Sets the `struct sockaddr_in` that holds the receiver, or that the kernel fills with the
   * sender.
   */
  setName(name: Uint8Array<ArrayBuffer>, address: Address): void {
    if (name === this.#name) return;
    this.#name = name;
    setPointer(this.#view, Message.name, address);
    this.#view.setUint32(Message.nameLength, name.length, true);
  }

  /** Adds a control message with a 16-bit value. */
  setControl(level: number, type: number, value: number): void {
    this.#controlView.setUint32(Control.length, Control.data + 2, true);
    this.#controlView.setInt32(Control.level, level, true);
    this.#controlView.setInt32(Control.type, type, true);
    this.#controlView.setUint16(Control.data, value, true);
    this.#view.setUint32(Message.controlLength, CONTROL, true);
  }

  /** Removes the control message. */
  clearControl(): void {
    this.#view.setUint32(Message.controlLength, 0, true);
  }

  /**
   * Offers space for one control message. Needed before each call, because the kernel changes the
   * length.
   */
  expectControl(): void {
    this.#view.setUint32(Message.controlLength, CONTROL, true);
  }

  /** The 32-bit value of the received control message, `undefined` if it is not of this type. */
  control(level: number, type: number): number | undefined {
    if (this.#view.getUint32(Message.controlLength, true) < Control.data + 4) return undefined;
    if (this.#controlView.getInt32(Control.level, true) !== level) return undefined;
    if (this.#controlView.getInt32(Control.type, true) !== type) return undefined;
    return this.#controlView.getInt32(Control.data, true);
  }
}

/** A memory address in two halves of 32 bits, because 64 bits would need a bigint. */
export interface Address {
  readonly low: number;
  readonly high: number;
}

/** The address of bytes, valid while the array is referenced. */
export function addressOf(bytes: Uint8Array<ArrayBuffer>): Address {
  const address = Deno.UnsafePointer.value(pointerTo(bytes));
  return { low: Number(BigInt.asUintN(32, address)), high: Number(address >> 32n) };
}

/** Writes a pointer to `offset` bytes behind an address. */
function setPointer(view: DataView, at: number, { low, high }: Address, offset = 0): void {
  const sum = low + offset;
  view.setUint32(at, sum, true); // modulo 2^32
  view.setUint32(at + 4, sum < 2 ** 32 ? high : high + 1, true);
}
