/**
 * The data link between processes of one machine.
 *
 * @module
 */

/** 127.0.0.1 */
export const LOOPBACK_ADDRESS = 0x7f00_0001;

/** Bytes that the kernel may queue on a data link's socket: some hundred of the longest packets, in fragments. */
export const LINK_BUFFER = 4 << 20;
