/**
 * What the usual tools print, read.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Ended } from "./program.ts";

/**
 * Insists that `ping` was answered so many times: each of its packets from the first on, once, and by nothing else.
 * With -w it sends on while it waits, so there may be more.
 */
export function assertAllAnswered({ stdout, stderr }: Ended, count: number): void {
  const answered = [...stdout.matchAll(/^\d+ bytes from .* icmp_seq=(\d+) /gm)].map(([, number]) =>
    Number(number)
  );
  assert.ok(answered.length >= count, stdout + stderr);
  assert.deepEqual(answered.toSorted((a, b) => a - b), answered.map((_, index) => index + 1), stdout);
  assert.doesNotMatch(stdout, /DUP!|^From |wrong data byte/m);
}

/** The same of a `ping -q`, which only sums up: as many packets as it was to send, and each answered once. */
export function assertNoneLost({ stdout, stderr }: Ended, count: number): void {
  const [summary] = /^\d+ packets transmitted.*$/m.exec(stdout) ?? [stdout + stderr];
  // Duplicates, errors and losses would each show up in this line.
  assert.match(summary, new RegExp(`^${count} packets transmitted, ${count} received, 0% packet loss, time`));
}

/** How many packets `ping` has sent. */
export function sentBy({ stdout }: Ended): number {
  return Number(/^(\d+) packets transmitted, /m.exec(stdout)?.[1]);
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
