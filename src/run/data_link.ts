/**
 * The data link between processes of one machine.
 *
 * @module
 */

/** Bytes that the kernel may queue on a data link's socket: some hundred of the longest packets, in fragments. */
export const LINK_BUFFER = 4 << 20;
