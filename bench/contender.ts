/**
 * A contender: something that carries packets, or streams, to somebody who answers, and can be started and ended.
 *
 * @module
 */
import type { Place } from "./place.ts";

/** What a packet passes. Only contenders of one shape do the same work, so only they share a floor. */
export type Shape =
  /** The kernel alone. */
  | "kernel"
  | "one process"
  | "two processes"
  /** Two processes, and a raw socket into the practice network. */
  | "raw exit"
  /** The same with routers in between; nothing in C does that work. */
  | "circuit"
  /** Other people's tunnels; README.md says what may be compared with what. */
  | "peer";

/** A contender that answers. Disposing of it ends it. */
export interface Running extends AsyncDisposable {
  /** From starting it to its `ready` line, in ms; `undefined` if it has no program. */
  readonly startMs: number | undefined;
  /** Aborted, its reason an Error with the last words, when it ends unasked. */
  readonly ended: AbortSignal;
  /** Its processes. */
  pids(): Promise<readonly number[]>;
}

/** Where packets go, or streams. */
export interface Targets {
  /** Absent where no packet passes. */
  readonly packets?: PacketTarget;
  /** Where a TCP server can be reached; absent where nobody asks for that. */
  readonly streams?: StreamTarget;
}

/** A way for packets. */
export interface PacketTarget {
  /** An IPv4 address that answers echo requests. */
  readonly address: string;
  /** The device that requests leave by. They are counted there, so that none goes past the contender unnoticed. */
  readonly device: string;
  /** The address that `ping` sends from; absent where it may choose. */
  readonly source?: string;
  /** The first of a thousand addresses in a row that answer; absent where there are none. */
  readonly crowd?: string;
  /** Bytes of the longest payload that is answered; absent where every one is. */
  readonly longest?: number;
}

/** A way for TCP streams. */
export interface StreamTarget {
  /** Where the server runs. */
  readonly server: Place;
  /** The server's IPv4 address. */
  readonly address: string;
  /** The port, on the client's loopback, of the SOCKS proxy that leads there; without one, the client just connects. */
  readonly socks?: number;
}

/** Something to measure. Its namespaces stay for the whole run, its programs for one round. */
export interface Contender {
  /** As the table and `--only` call it. */
  readonly name: string;
  readonly shape: Shape;
  /** Whether it is the floor of its shape: the program in C, ratio 1. */
  readonly floor: boolean;
  /** The name of the contender that is the kernel alone on the same way. */
  readonly kernel?: string;
  /** The name of the contender that is this one at the revision of `--against`. */
  readonly before?: string;
  /** Whether the bench goes on without it when it fails: somebody else's program, or a revision that lacks something. */
  readonly mayFail?: boolean;
  /** Where the load comes from. */
  readonly place: Place;
  readonly targets: Targets;
  /** Starts it, and returns when it says that it is ready. */
  start(signal: AbortSignal): Promise<Running>;
}
