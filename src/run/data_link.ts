/**
 * The data link between processes of one machine.
 *
 * @module
 */

/**
 * Bytes that the kernel may queue on a data link's socket: about a hundred fragmented packets of
 * max length.
 */
export const LINK_BUFFER = 4 << 20;
