/**
 * Where bytes lie, for calls that are made with every packet: given an array, the runtime looks for its address anew each
 * time, which takes a hundred instructions; given a pointer, none.
 *
 * @module
 */

/** Bytes of memory that structures share: all that the calls of one packet thread are made with have room in it. */
const BLOCK = 4096;
/** What structures are aligned to, as malloc(3) does. */
const ALIGNMENT = 16;

let block = new ArrayBuffer(0);
let used = 0;

/**
 * Zeroed memory for a C structure. Structures made one after the other lie next to each other: each by itself would have a
 * page of memory of its own, and a packet after a pause finds none of them in the processor's tables.
 * See docs/adr/0012-the-path-of-one-packet.md.
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

/** A view of the fields of a structure. */
export function fieldsOf({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): DataView<ArrayBuffer> {
  return new DataView(buffer, byteOffset, byteLength);
}

/** A pointer to the first of some bytes. They stay there as long as somebody holds on to the array. */
export function pointerTo(bytes: Uint8Array<ArrayBuffer>): Deno.PointerObject {
  // V8 keeps small arrays where it moves them about, until somebody asks for their buffer.
  void bytes.buffer;
  return Deno.UnsafePointer.of(bytes)!;
}

/** A pointer to the bytes of one call after the other: mostly they are those of the call before. */
export class LastPointer {
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #pointer: Deno.PointerValue = null;

  /** A pointer to `bytes`, which are held on to until the next call. */
  to(bytes: Uint8Array<ArrayBuffer>): Deno.PointerValue {
    if (bytes !== this.#bytes) {
      this.#pointer = pointerTo(bytes);
      this.#bytes = bytes;
    }
    return this.#pointer;
  }
}
