/**
 * The report for a terminal.
 *
 * @module
 */
import type { Report } from "./report.ts";
import { describePeers, sectionsOf } from "./sections.ts";

/** Renders a report as text, without a final newline. */
export function renderText(report: Report): string {
  const { machine, rounds, quick, stolen } = report;
  const peers = describePeers(report);
  const head = [
    `onion ${machine.revision}, ${machine.date.slice(0, 10)}, ${rounds} ${
      rounds === 1 ? "round" : "rounds"
    }` +
    (quick ? " of --quick: for a look, not for quoting" : ""),
    `${machine.processor}, ${machine.cores} cores, Linux ${machine.kernel}, Deno ${machine.deno}; ` +
    `load before ${machine.loadBefore.toFixed(1)}, taken by the hypervisor ${(stolen * 100).toFixed(1)} %`,
    ...(peers === undefined ? [] : [`peers: ${peers}`]),
  ];
  const sections = sectionsOf(report).map(({ title, blocks }) => [[`## ${title}`], ...blocks]);
  return [head, ...sections.flat()].map((block) => block.join("\n")).join("\n\n");
}
