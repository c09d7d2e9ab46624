/**
 * `onion man`: the manual as a page for man(1).
 *
 * @module
 */
import { VERSION } from "../run/self.ts";
import { allCommands, BRIEF, commandLine, commandSections, MANUAL, type Section } from "./help.ts";

/** The manual page in man(7) macros. */
export function manPage(): string {
  return [
    `.TH ONION 1 "" "onion ${VERSION}"`,
    ".SH NAME",
    roff(BRIEF),
    ...MANUAL.flatMap(({ title, rows }) => [
      `.SH ${title === "Usage" ? "SYNOPSIS" : title.toUpperCase()}`,
      ...items(rows),
    ]),
    ".SH COMMANDS",
    ...allCommands().flatMap(({ name, row }) => [
      `.SS ${roff(commandLine(name, row))}`,
      roff(row.help),
      ...row.about === undefined ? [] : [".PP", roff(row.about)],
      // A command's own commands follow it.
      ...commandSections(name, row).filter(({ title }) => title !== "Commands").flatMap(({ rows }) =>
        items(rows)
      ),
    ]),
  ].join("\n");
}

function items(rows: Section["rows"]): string[] {
  return rows.flatMap(([term, explanation]) => [".TP", `.B ${roff(term)}`, roff(explanation)]);
}

/** Escapes text: roff takes a leading dot or quote for a request, and a minus for a hyphen. */
function roff(text: string): string {
  const escaped = text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("…", "...").replaceAll(
    '"',
    "\\(dq",
  );
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
