/**
 * What both sides of a handshake mix in before its first message (Noise §6): another version of the protocol, with
 * other cells, would not come to the same keys.
 */
export const PROLOGUE: Uint8Array<ArrayBuffer> = new TextEncoder().encode("onion circuit 1");
