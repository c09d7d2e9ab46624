/**
 * Traffic: sends packets through a contender, and checks that the contender answers, and rightly.
 *
 * @module
 */
import type { Contender, PacketTarget, Running } from "./contender.ts";
import { load, type LoadOptions, type LoadResult } from "./load.ts";
import { packetsSent } from "./net_dev.ts";
import { ping, type PingResult } from "./ping.ts";
import type { Plan } from "./plan.ts";

/** What a measurement needs besides the contender. */
export interface Instruments {
  readonly plan: Plan;
  /** Path of the load generator. */
  readonly loadProgram: string;
  /** Path of the stream client and server; undefined if streams are not measured. */
  readonly streamProgram?: string;
  /** Receives notes for readers of the figures, e.g. that packets were lost. */
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/** A running contender, and where packets for it go. */
export interface Subject {
  readonly contender: Contender;
  readonly running: Running;
  readonly way: PacketTarget;
}

/** Packets that are sent through a contender. */
interface Traffic {
  /** The lengths of the run in seconds. */
  readonly warmup: number;
  readonly span: number;
  /** Payload bytes. */
  readonly size: number;
  /** Number of consecutive addresses that they go to, in turn. */
  readonly flows: number;
}

/** Share of one core from which the load generator itself may limit the rate. */
const SATURATED = 0.95;

/** Waits for the first reply. After it, a contender has no excuse for a lost packet. */
export async function awaitFirstReply(
  { name, place }: Contender,
  way: PacketTarget,
  signal: AbortSignal,
): Promise<void> {
  const { received } = await ping(place, way, ["-c", "1", "-i", "0.05", "-w", "3"], signal);
  if (received === 0) throw new Error(`${name} says that it is ready, but ${way.address} does not answer`);
}

/** Whether it has CPU time of its own: the kernel answers on the load generator's. */
export async function hasPrograms({ running }: Subject): Promise<boolean> {
  return (await running.pids()).length > 0;
}

/** The load at the largest window, halved from `window`, without packet loss. */
export async function lossless(
  subject: Subject,
  instruments: Instruments,
  traffic: Traffic & { readonly window?: number },
): Promise<LoadResult | undefined> {
  const { name } = subject.contender;
  const { size, flows } = traffic;
  const what = `packets of ${size} bytes${flows > 1 ? ` to ${flows} hosts` : ""}`;
  const first = traffic.window ?? instruments.plan.window;
  for (let window = first; window >= 1; window = Math.floor(window / 2)) {
    const result = await onLoad(subject, instruments, { ...traffic, window });
    if (result.lost > 0) {
      instruments.note(`${name} lost ${what} with ${window} on the way; its rate was taken with fewer`);
      continue;
    }
    const busy = result.ownCpuSeconds / result.seconds;
    if (busy > SATURATED && await hasPrograms(subject)) {
      instruments.note(
        `The load generator had a core to itself and used it up with ${what}: ${name} may be capable of more`,
      );
    }
    return result;
  }
  instruments.note(`${name} lost ${what} even one at a time`);
  return undefined;
}

/**
 * Runs the load generator.
 *
 * @throws Error if nothing comes back, or not what was sent
 */
export async function onLoad(
  { contender: { name, place }, running, way }: Subject,
  { loadProgram, signal }: Instruments,
  { warmup, span, size, flows, window, pause = 0 }: Traffic & Pick<LoadOptions, "window" | "pause">,
): Promise<LoadResult> {
  const watch = await running.pids();
  // A single host is the contender's own; several are from the crowd.
  const target = flows === 1 ? way.address : way.crowd;
  if (target === undefined) throw new TypeError(`${name} leads to no crowd`);
  const options = { target, flows, size, window, pause, warmupSeconds: warmup, spanSeconds: span, watch };
  const before = await packetsSent(place, way.device, signal);
  const result = await load(loadProgram, place, options, signal);
  const passed = await packetsSent(place, way.device, signal) - before;
  if (result.counted === 0) throw new Error(`${name} answers nothing under load`);
  if (passed < result.answered) {
    throw new Error(`${name} was not what answered: packets went past ${way.device}`);
  }
  if (result.duplicates + result.damaged > 0) {
    throw new Error(
      `${name} answers wrongly: ${result.duplicates} duplicates and ${result.damaged} ` +
        `damaged replies among ${result.answered}`,
    );
  }
  return result;
}

/**
 * Runs `ping`.
 *
 * @throws Error as {@linkcode onLoad} does
 */
export async function onPing(
  { contender: { name, place }, way }: Subject,
  { note, signal }: Instruments,
  args: readonly string[],
): Promise<PingResult> {
  const what = `ping ${args.join(" ")}`;
  const before = await packetsSent(place, way.device, signal);
  const result = await ping(place, way, args, signal);
  const passed = await packetsSent(place, way.device, signal) - before;
  if (result.received === 0) throw new Error(`${name} answers nothing to ${what}`);
  if (passed < result.received) {
    throw new Error(`${name} was not what answered: packets went past ${way.device}`);
  }
  if (result.duplicates > 0) throw new Error(`${name} answers wrongly: duplicates with ${what}`);
  if (result.sent > result.received) note(`${name} lost packets of ${what}`);
  return result;
}
