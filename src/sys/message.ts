/**
 * `struct msghdr` (recvmsg(2), cmsg(3)): a buffer, an address and one control message, made once and used for every call.
 *
 * @module
 */

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
  /** What the system call is given. */
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(Message.size);
  readonly #view = new DataView(this.bytes.buffer);
  readonly #iov = new Uint8Array(Iov.size);
  readonly #iovView = new DataView(this.#iov.buffer);
  readonly #control = new Uint8Array(CONTROL);
  readonly #controlView = new DataView(this.#control.buffer);
  /** What the header points to must live as long as it does. */
  readonly #buffer: Uint8Array<ArrayBuffer>;

  /** @param buffer where data comes from or goes to */
  constructor(buffer: Uint8Array<ArrayBuffer>) {
    this.#buffer = buffer;
    setPointer(this.#iovView, Iov.base, this.#buffer);
    setPointer(this.#view, Message.iov, this.#iov);
    this.#view.setUint32(Message.iovCount, 1, true);
    setPointer(this.#view, Message.control, this.#control);
    this.length = buffer.length;
  }

  /** Bytes of the buffer that are sent, or may be filled. */
  set length(length: number) {
    this.#iovView.setUint32(Iov.length, length, true);
  }

  /** Where to send to, or where the kernel writes who sent: a `struct sockaddr_in`. */
  setName(name: Uint8Array<ArrayBuffer>): void {
    setPointer(this.#view, Message.name, name);
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

function setPointer(view: DataView, at: number, target: Uint8Array<ArrayBuffer>): void {
  view.setBigUint64(at, Deno.UnsafePointer.value(Deno.UnsafePointer.of(target)), true);
}
