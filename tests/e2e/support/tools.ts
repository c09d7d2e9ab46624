/**
 * What the usual tools print, read.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Ended } from "./program.ts";

/** Insists on what `ping` sums up: everything answered, once. */
export function assertAllAnswered({ stdout, stderr }: Ended, count: number): void {
  const [summary] = /^\d+ packets transmitted.*$/m.exec(stdout) ?? [stdout + stderr];
  // Duplicates, errors and losses would each show up in this line.
  assert.match(summary, new RegExp(`^${count} packets transmitted, ${count} received, 0% packet loss, time`));
}

/** What errors `ping` tells of: who says what about which packet. */
export function errorsOf({ stdout }: Ended): string[] {
  return [...stdout.matchAll(/^From (.*)$/gm)].map(([, words]) => words!);
}

/** The hops that `traceroute -n -q 1` finds, in order, with what they say if it is no reply: `10.5.51.1 !X`. */
export function hopsOf({ stdout }: Ended): string[] {
  return [...stdout.matchAll(/^ *\d+ {2}(\S+)(?: {2}[\d.]+ ms)?( ![A-Z]\S*)?$/gm)].map(([, who, says = ""]) =>
    who + says
  );
}

/** The hops that `mtr --report --no-dns` finds, in order, and how much of what it asked each has lost. */
export function reportOf({ stdout }: Ended): string[] {
  return [...stdout.matchAll(/^ *\d+\.\|-- (\S+) +([\d.]+%) /gm)].map(([, who, loss]) => `${who} ${loss}`);
}
