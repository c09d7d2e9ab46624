/**
 * The plan for the exits of a run, which each kind of exit makes for itself.
 *
 * @module
 */
import type { Change } from "./change.ts";
import type { ExitInterface } from "./exit_interfaces.ts";
import type { FirewallRules } from "./firewall.ts";

/** What the exits of a run need of the host, and what their routers are told. */
export interface ExitPlan<Settings> {
  /** In the order of the routers' numbers. */
  readonly routers: readonly RouterExit<Settings>[];
  readonly changes: readonly Change[];
  readonly firewall?: FirewallRules;
}

/** The exit of one router. */
export interface RouterExit<Settings> {
  readonly settings: Settings;
  /** The interface that it leaves by; absent if no packet leaves the router. */
  readonly leaves?: ExitInterface;
}
