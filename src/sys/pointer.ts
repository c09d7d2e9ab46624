/**
 * Where bytes lie, for calls that are made with every packet: given an array, the runtime looks for its address anew each
 * time, which takes a hundred instructions; given a pointer, none.
 *
 * @module
 */

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
