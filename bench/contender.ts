/**
 * A contender carries packets or streams to something that answers. It can be started and ended.
 *
 * @module
 */
import type { Place } from "./place.ts";

/**
 * What a packet passes. Only contenders of one shape do the same work, so each shape has its own
 * floor.
 */
export type Shape =
  /** The kernel alone. */
  | "kernel"
  | "one process"
  | "two processes"
  /** Two processes, and a raw socket into the practice network. */
  | "raw exit"
  /** The same with routers between; no C program does that work. */
  | "circuit"
  /** Other people's tunnels; README.md says which figures are comparable. */
  | "peer";

/** A contender that answers. Disposing of it ends it. */
export interface Running extends AsyncDisposable {
  /** From its start to its `ready` line, in ms; `undefined` without a program. */
  readonly startMs: number | undefined;
  /** Aborts when it ends unasked; the reason is an Error with its last words. */
  readonly ended: AbortSignal;
  /** Its processes. */
  pids(): Promise<readonly number[]>;
}

/** Where packets or streams go. */
export interface Targets {
  /** Undefined if it carries no packets. */
  readonly packets?: PacketTarget;
  /** Where to reach a TCP server; undefined if nothing needs one. */
  readonly streams?: StreamTarget;
}

/** A way for packets. */
export interface PacketTarget {
  /** An IPv4 address that answers echo requests. */
  readonly address: string;
  /**
   * The device that requests must leave by. Packets are counted there, so that none bypasses the
   * contender.
   */
  readonly device: string;
  /** The address that `ping` sends from; undefined if `ping` may choose. */
  readonly source?: string;
  /** The first of a thousand consecutive addresses that answer; undefined without them. */
  readonly crowd?: string;
  /** Length in bytes of the longest payload that is answered; undefined without a limit. */
  readonly longest?: number;
}

/** A way for TCP streams. */
export interface StreamTarget {
  /** Where the server runs. */
  readonly server: Place;
  /** The server's IPv4 address. */
  readonly address: string;
  /** Port of a SOCKS proxy on the client's loopback. Without one, the client connects directly. */
  readonly socks?: number;
}

/** Something to measure. Its namespaces stay for the whole run, its programs for one round. */
export interface Contender {
  /** The name in the table and for `--only`. */
  readonly name: string;
  readonly shape: Shape;
  /** Whether it is the floor of its shape: the C program, ratio 1. */
  readonly floor: boolean;
  /** The name of the contender that is the kernel alone on the same way. */
  readonly kernel?: string;
  /** The name of this contender at the revision of `--against`. */
  readonly before?: string;
  /** Whether the bench goes on when it fails, as for a peer or a revision that lacks a stage. */
  readonly mayFail?: boolean;
  /** Where the load comes from. */
  readonly place: Place;
  readonly targets: Targets;
  /** Starts it, and returns when it is ready. */
  start(signal: AbortSignal): Promise<Running>;
}
