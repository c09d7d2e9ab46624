/**
 * The summary of a run at its end.
 *
 * @module
 */
import { DROP_REASONS, drops, type Snapshot } from "../trace/counters.ts";

/** The counters of one party. */
interface PartyCounters {
  /** Its name, e.g. `router 1`. */
  readonly party: string;
  readonly counters: Snapshot;
  /** How often it was restarted; missing for the proxy. */
  readonly restarts?: number;
}

/** The facts of a summary. */
export interface RunReport {
  /** The signal that ended the run, e.g. `SIGINT`. */
  readonly endedBy: string;
  /** Milliseconds from start to end. */
  readonly uptime: number;
  /** All parties, the proxy first. */
  readonly parties: readonly PartyCounters[];
  /** Ignored control datagrams by party. */
  readonly rejected: Readonly<Record<string, number>>;
}

/** The summary as text for people. */
export function summaryText(report: RunReport): string {
  const lines = [`ended by ${report.endedBy} after ${(report.uptime / 1000).toFixed(1)} s`];
  for (const { party, counters, restarts = 0 } of report.parties) {
    const count = (name: keyof Snapshot) => counters[name] ?? 0;
    lines.push(
      party === "proxy"
        ? `proxy: ${count("tun-in")} packets in from the tunnel, ${count("tun-out")} out to it; ` +
          `${count("link-out")} cells sent, ${count("link-in")} received`
        : `${party}: ${count("link-in")} cells received, ${count("link-out")} sent`,
    );
    if (restarts > 0) lines.push(`${party}: restarted ${restarts === 1 ? "once" : `${restarts} times`}`);
    const lost = count("circuits-lost");
    if (lost > 0) lines.push(`${party}: ${lost} ${lost === 1 ? "circuit" : "circuits"} lost with a router`);
    const [built, failed] = [count("circuits-built"), count("builds-failed")];
    if (built + failed > 0) {
      const each = built === 0 ? "" : `, in ${(count("build-time") / built / 1000).toFixed(1)} ms on average`;
      const circuits = built === 1 ? "circuit" : "circuits";
      lines.push(
        `${party}: ${built} ${circuits} built${each}` + (failed === 0 ? "" : `, ${failed} given up`),
      );
    }
    for (const [reason, number] of drops(counters)) {
      lines.push(`${party}: dropped ${number} ${reason}: ${DROP_REASONS[reason]}`);
    }
    if (count("log-lost") > 0) lines.push(`${party}: ${count("log-lost")} log lines lost, no packets`);
  }
  for (const [party, number] of Object.entries(report.rejected)) {
    if (number > 0) lines.push(`${party}: ignored ${number} forged or garbled control datagrams`);
  }
  return lines.join("\n");
}

/** The summary as a JSON line. */
export function summaryObject(report: RunReport): Record<string, unknown> {
  const { endedBy, uptime, parties, rejected } = report;
  return {
    event: "ended",
    by: endedBy,
    uptime: Math.round(uptime) / 1000,
    counters: Object.fromEntries(parties.map(({ party, counters }) => [party, counters])),
    restarts: Object.fromEntries(
      parties.flatMap(({ party, restarts }) => restarts ? [[party, restarts]] : []),
    ),
    rejected,
  };
}
