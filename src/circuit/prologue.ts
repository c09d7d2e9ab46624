/**
 * The prologue of every handshake (Noise §6). It names the version of the protocol, so parties of
 * different versions never agree on keys.
 */
export const PROLOGUE: Uint8Array<ArrayBuffer> = new TextEncoder().encode("onion circuit 1");
