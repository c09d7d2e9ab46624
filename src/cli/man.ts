/**
 * `onion man`: the manual as a page for man(1).
 *
 * @module
 */
import { VERSION } from "../run/self.ts";
import { allCommands, BRIEF, commandLine, commandSections, MANUAL, type Rows } from "./help.ts";

/** The manual page in man(7) macros. */
export function manPage(): string {
  return [
    `.TH ONION 1 "" "onion ${VERSION}"`,
    ".SH NAME",
    roff(BRIEF),
    ...Object.entries(MANUAL).flatMap(([title, rows]) => [
      `.SH ${title === "Usage" ? "SYNOPSIS" : title.toUpperCase()}`,
      ...items(rows),
    ]),
    ".SH COMMANDS",
    ...allCommands().flatMap(({ name, row }) => [
      `.SS ${roff(commandLine(name, row))}`,
      roff(row.help),
      ...row.about === undefined ? [] : [".PP", roff(row.about)],
      // A command's own commands follow it.
      ...Object.values({ ...commandSections(name, row), Commands: [] }).flatMap(items),
    ]),
  ].join("\n");
}

function items(rows: Rows): string[] {
  return rows.flatMap(([term, explanation]) => [".TP", `.B ${roff(term)}`, roff(explanation)]);
}

/** How roff writes these characters. It would make a hyphen of a minus. */
const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\e", "-": "\\-", "…": "...", '"': "\\(dq" };

/** Escapes text. At the beginning, roff takes a dot or a quote for a request. */
function roff(text: string): string {
  const escaped = text.replace(/[\\"…-]/g, (character) => ESCAPES[character]!);
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
