/**
 * The kinds of exits, as the control threads see them: settings, privileges, host plan, and device.
 * The packet thread reads `cores.ts` instead.
 *
 * Every process loads this before it is ready, so it imports little. A plan gets what it needs of
 * `host/plan/` as an argument, and only the router that opens a device loads it.
 *
 * A new kind gets its own folder, a row here, a case in `cores.ts`, and its name in the stage
 * table.
 *
 * @module
 */
import type { Settings } from "../config/settings.ts";
import type { ExitKind } from "../config/stages.ts";
import type { ExitInterface } from "../host/plan/exit_interfaces.ts";
import type { ExitPlan } from "../host/plan/exit_plan.ts";
import { type JsonCodec, variant } from "../json.ts";
import type { Capability } from "../sys/capability.ts";
import type { Fd } from "../sys/fd.ts";
import { planEcho } from "./echo/plan.ts";
import { type EchoSettings, echoSettings } from "./echo/settings.ts";
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
  /** Why the exit needs it, as in `not permitted to …`. */
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
   * @param chooseInterfaces chooses the interface that each router leaves by
   * @throws {OperatorError} if the host lacks what they need
   */
  plan(settings: Settings, chooseInterfaces: () => readonly ExitInterface[]): ExitPlan<ExitSettings>;
  /** Loads what opens the device for the packet thread; absent for a kind without a device. */
  loadDevice?(): Promise<DeviceModule>;
}

/** Opens the device of an exit. */
interface DeviceModule {
  /** @param bufferSize bytes that the kernel may queue in each direction */
  openDevice(settings: ExitSettings, bufferSize: number): Fd;
}

/** Every kind of exit. */
export const EXITS: Readonly<Record<ExitKind, ExitRow>> = {
  echo: { needs: [], plan: planEcho },
  "raw-icmp": { needs: RAW_ICMP_NEEDS, plan: planRawIcmp, loadDevice: () => import("./raw_icmp/device.ts") },
};
