/**
 * An echo exit needs nothing of the host, because its routers send no packet outside.
 *
 * @module
 */
import type { Settings } from "../../config/settings.ts";
import type { ExitPlan } from "../../host/plan/exit_plan.ts";
import type { EchoSettings } from "./settings.ts";

/** Plans the exits of all routers. */
export function planEcho({ routers, address: block }: Settings): ExitPlan<EchoSettings> {
  return {
    routers: Array.from({ length: routers }, () => ({ settings: { kind: "echo", block } })),
    changes: [],
  };
}
