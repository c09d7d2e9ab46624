/**
 * The kinds of exits, as the control threads see them: settings, privileges, host plan, and device.
 * The packet thread reads `cores.ts` instead, so that it loads no host plans.
 *
 * A new kind gets its own folder, a row here, a case in `cores.ts`, and its name in the stage
 * table.
 *
 * @module
 */
import type { Settings } from "../config/settings.ts";
import type { ExitKind } from "../config/stages.ts";
import type { ExitPlan } from "../host/plan/exit_plan.ts";
import type { HostState } from "../host/plan/state.ts";
import type { IpAddress } from "../ip/address.ts";
import { type JsonCodec, variant } from "../json.ts";
import type { Capability } from "../sys/capability.ts";
import type { Fd } from "../sys/fd.ts";
import { planEcho } from "./echo/plan.ts";
import { type EchoSettings, echoSettings } from "./echo/settings.ts";
import { openRawIcmpSocket } from "./raw_icmp/device.ts";
import { planRawIcmp, RAW_ICMP_NEEDS } from "./raw_icmp/plan.ts";
import { type RawIcmpSettings, rawIcmpSettings } from "./raw_icmp/settings.ts";

/** What a router is told about its exit. */
export type ExitSettings = EchoSettings | RawIcmpSettings;

/** The settings as JSON. */
export const exitSettings: JsonCodec<ExitSettings> = variant("kind", {
  echo: echoSettings,
  "raw-icmp": rawIcmpSettings,
});

/** A privilege that a kind of exit needs. */
interface Need {
  readonly capability: Capability;
  /** What it is for, as in `not permitted to …`. */
  readonly purpose: string;
  /** What it allows, as in `may …`. */
  readonly right: string;
}

/** One kind of exit. */
interface ExitRow {
  /** Privileges besides those of every run. */
  readonly needs: readonly Need[];
  /**
   * Plans the exits of all routers.
   *
   * @param from the address whose packets are captured, if any
   * @throws {OperatorError} if the host lacks what they need
   */
  plan(settings: Settings, from: IpAddress | undefined, state: HostState): ExitPlan<ExitSettings>;
  /**
   * Opens the device that the packet thread is given; absent for a kind without one.
   *
   * @param bufferSize bytes that the kernel may queue in each direction
   */
  openDevice?(settings: ExitSettings, bufferSize: number): Fd;
}

/** Every kind of exit. */
export const EXITS: Readonly<Record<ExitKind, ExitRow>> = {
  echo: { needs: [], plan: planEcho },
  "raw-icmp": { needs: RAW_ICMP_NEEDS, plan: planRawIcmp, openDevice: openRawIcmpSocket },
};

/** The plan for the exits of a run: empty in a stage that carries no packets. */
export function planExits(
  settings: Settings,
  from: IpAddress | undefined,
  state: HostState,
): ExitPlan<ExitSettings> {
  const { exit } = settings.stage;
  return exit === undefined ? { routers: [], changes: [] } : EXITS[exit].plan(settings, from, state);
}
