/**
 * The report as a page for docs/.
 *
 * @module
 */
import type { Report } from "./report.ts";
import { describePeers, sectionsOf, wasBusy } from "./sections.ts";
import { layOut } from "./table.ts";

/** Renders a report as a page of Markdown. */
export function renderMarkdown(report: Report): string {
  const sections = sectionsOf(report).map(({ title, blocks }) => [[`## ${title}`], ...blocks]);
  const blocks = [
    ["# Performance"],
    [
      "Written by `deno task bench --markdown`; do not edit. `bench/README.md` explains the figures and the " +
      "contenders.",
    ],
    circumstances(report),
    ...sections.flat(),
  ];
  return blocks.map((block) => `${block.join("\n")}\n`).join("\n");
}

function circumstances(report: Report): string[] {
  const { machine, rounds, quick, stolen } = report;
  const peers = describePeers(report);
  const rows = [
    ["commit", machine.revision],
    ["date", `${machine.date.slice(0, 16).replace("T", " ")} UTC`],
    ["machine", `${machine.processor}, ${machine.cores} cores, ${machine.memory.toFixed(0)} GB`],
    ["kernel", `Linux ${machine.kernel}`],
    ["Deno", machine.deno],
    ["TCP congestion control", machine.congestionControl],
    ...(peers === undefined ? [] : [["peers", peers]]),
    ["rounds", `${rounds}${quick ? " of --quick: not for quoting" : ""}`],
    [
      "load before",
      `${machine.loadBefore.toFixed(2)}${wasBusy(report) ? ": busy, so trust ratios only a little" : ""}`,
    ],
    ["taken by the hypervisor", `${(stolen * 100).toFixed(1)} %`],
  ];
  return layOut(["circumstance", ""], rows, 2);
}
