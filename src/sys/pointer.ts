/**
 * Pointers to memory, for calls that are made for each packet. For an array, the runtime looks up
 * the address at each call, which takes a hundred instructions; a pointer costs none.
 *
 * @module
 */

/** Bytes of a block of memory for structures. One block holds all structures of a packet thread. */
const BLOCK = 4096;
/** The alignment of structures, that of malloc(3). */
const ALIGNMENT = 16;

let block = new ArrayBuffer(0);
let used = 0;

/**
 * Zeroed memory for a C structure. Successive structures are adjacent. With a page each, a packet
 * after a pause would miss the TLB once for each structure. See
 * docs/adr/0012-the-path-of-one-packet.md.
 */
export function cStruct(size: number): Uint8Array<ArrayBuffer> {
  if (used + size > block.byteLength) {
    block = new ArrayBuffer(Math.max(size, BLOCK));
    used = 0;
  }
  const bytes = new Uint8Array(block, used, size);
  used = Math.ceil((used + size) / ALIGNMENT) * ALIGNMENT;
  return bytes;
}

/** A view of a structure's fields. */
export function fieldsOf({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): DataView<ArrayBuffer> {
  return new DataView(buffer, byteOffset, byteLength);
}

/** A pointer to the first byte, valid while the array is referenced. */
export function pointerTo(bytes: Uint8Array<ArrayBuffer>): Deno.PointerObject {
  // V8 may move a small array until its buffer is accessed.
  void bytes.buffer;
  return Deno.UnsafePointer.of(bytes)!;
}

/** The pointer to an array, cached because most calls use the array of the call before. */
export class LastPointer {
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #pointer: Deno.PointerValue = null;

  /** A pointer to `bytes`, which stay referenced until the next call. */
  to(bytes: Uint8Array<ArrayBuffer>): Deno.PointerValue {
    if (bytes !== this.#bytes) {
      this.#pointer = pointerTo(bytes);
      this.#bytes = bytes;
    }
    return this.#pointer;
  }
}
