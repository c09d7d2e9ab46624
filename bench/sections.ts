/**
 * The report for people, section by section.
 *
 * @module
 */
import type { ClaimResult } from "./claims.ts";
import { GROWTH_MEASURES, type GrowthFigure, type GrowthReport } from "./growth.ts";
import type { Report, ReportedFigure, ReportedMeasure } from "./report.ts";
import { PEER_NAMES } from "./roster.ts";
import { formatFigure, formatRatio, formatSpread, layOut } from "./table.ts";

/** A part of the report. */
interface Section {
  readonly title: string;
  /** Paragraphs and tables, each of one line or more. */
  readonly blocks: readonly (readonly string[])[];
}

/** Load average per core above which the machine was busy with other work. */
const BUSY = 0.3;

/** Every section of a report. */
export function sectionsOf(report: Report): Section[] {
  const { claims, measures, growth } = report;
  return [
    ...(measures.length === 0
      ? []
      : [{ title: "Side by side", blocks: [sideBySide(report), ...remarks(report)] }]),
    ...(claims.length === 0 ? [] : [{ title: "What it must show", blocks: [renderClaims(claims)] }]),
    ...(growth ?? []).filter(({ rows }) => rows.length > 0).map(renderGrowth),
  ];
}

/** Whether the machine had other work. */
export function wasBusy({ machine }: Report): boolean {
  return machine.loadBefore > BUSY * machine.cores;
}

function sideBySide({ measures, against }: Report): string[] {
  const head = ["measure", "contender", "median", "min–max", "× C", "× kernel"];
  if (against !== undefined) head.push(`× ${against}`);
  const rows = measures.flatMap((measure) =>
    measure.figures.map((figure, index) => [
      index === 0 ? measure.title : "",
      figure.contender,
      formatFigure(figure.median, measure.digits),
      formatSpread(figure, measure.digits),
      formatRatio(figure.versusFloor),
      formatRatio(figure.versusKernel),
      ...(against === undefined ? [] : [formatChange(measure, figure)]),
    ])
  );
  return layOut(head, rows, 2);
}

function formatChange(measure: ReportedMeasure, { versusBefore }: ReportedFigure): string {
  if (versusBefore === undefined) return "";
  const ratio = versusBefore.median.toFixed(2);
  if (!measure.judged) return `(${ratio})`;
  return versusBefore.regression ? `${ratio} REGRESSION` : ratio;
}

function remarks(report: Report): string[][] {
  const { against, regressions, notes, measures } = report;
  const took = (name: string) =>
    measures.some(({ figures }) => figures.some(({ contender }) => contender === name));
  return [
    "Ratios are taken within a round, and the table shows their median. × C is the ratio to the same work in C, " +
    "× kernel the ratio to the kernel alone on the same way.",
    ...(took("wireguard_go")
      ? [
        "wireguard_go encrypts each packet, and the kernel at its far end answers. Stage 2 does neither, " +
        "so the two show the cost of a tunnel of two processes, not which is better.",
      ]
      : []),
    ...(took("tor") || took("tor_tuned")
      ? [
        "Tor carries TCP streams and cannot be pinged: compare it in the rows of TCP streams only. A message's round " +
        "trip there includes the server's wake-up and TCP, unlike a ping; veth shows what that alone costs. Tor " +
        "starts with its cache; only its very first start votes.",
      ]
      : []),
    ...(wasBusy(report)
      ? ["The machine was busy before the bench began: trust no figure, and ratios only a little."]
      : []),
    ...notes,
    ...regressions.map((line) => `REGRESSION: ${line}`),
    ...(against !== undefined && regressions.length === 0 ? [`No regression against ${against}.`] : []),
  ].map((remark) => [remark]);
}

function renderClaims(claims: readonly ClaimResult[]): string[] {
  const rows = claims.map((claim) => {
    const digits = claim.against === undefined ? 0 : 2;
    return [
      claim.title,
      claim.byTurns ? `${claim.against}, by turns` : claim.against ?? "",
      formatFigure(claim.median, digits),
      formatSpread(claim, digits),
      formatBound(claim),
      claim.holds === undefined ? "" : claim.holds ? "yes" : "NO",
    ];
  });
  return layOut(["what", "against", "median", "min–max", "allowed", "holds"], rows, 2);
}

function formatBound({ atMost, atLeast }: ClaimResult): string {
  if (atMost !== undefined) return `≤ ${atMost}`;
  return atLeast === undefined ? "" : `≥ ${atLeast}`;
}

function renderGrowth({ title, remark, rows }: GrowthReport): Section {
  const head = ["", "contender", ...GROWTH_MEASURES.flatMap(({ title }) => [title, "× first", "× C"])];
  const cells = rows.map(({ point, contender, figures }, index) => [
    rows[index - 1]?.point === point ? "" : point,
    contender,
    ...GROWTH_MEASURES.flatMap(({ key, digits }) => formatGrowth(figures[key], digits)),
  ]);
  const explanation = "× first is the ratio to the same contender in the first rows of the table.";
  const below = [explanation, ...(remark === undefined ? [] : [remark])].join(" ");
  return { title: `Growth: ${title}`, blocks: [layOut(head, cells, 2), [below]] };
}

function formatGrowth(figure: GrowthFigure | undefined, digits: number): string[] {
  if (figure === undefined) return ["", "", ""];
  return [
    formatFigure(figure.median, digits),
    formatRatio(figure.versusFirst),
    formatRatio(figure.versusFloor),
  ];
}

/** The peers that were found, in a sentence; `undefined` without `--peers`. */
export function describePeers({ peers }: Report): string | undefined {
  if (peers === undefined) return undefined;
  if (peers.length === 0) return `none found for ${PEER_NAMES.join(", ")}`;
  return peers.map(({ name, version }) => `${name} ${version}`).join(", ");
}
