/**
 * `onion man`: the manual as a page for man(1), e.g. `onion man >/usr/local/share/man/man1/onion.1`.
 *
 * @module
 */
import { VERSION } from "../run/self.ts";
import { BRIEF, MANUAL } from "./help.ts";

/** The manual page, in the man(7) macros. */
export function manPage(): string {
  const lines = [`.TH ONION 1 "" "onion ${VERSION}"`, ".SH NAME", roff(BRIEF)];
  for (const { title, rows } of MANUAL) {
    lines.push(`.SH ${title === "Usage" ? "SYNOPSIS" : title.toUpperCase()}`);
    for (const [term, explanation] of rows) lines.push(".TP", `.B ${roff(term)}`, roff(explanation));
  }
  return lines.join("\n");
}

/** Text as text: a line that begins with a dot or a quote would be a request, a bare minus a hyphen. */
function roff(text: string): string {
  const escaped = text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("…", "...").replaceAll(
    '"',
    "\\(dq",
  );
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
