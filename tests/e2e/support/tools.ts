/**
 * Parsers and assertions for the output of ping, traceroute and mtr.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Ended } from "./program.ts";

/**
 * Asserts that each packet of a `ping` was answered once, at least `count` of them, and that
 * nothing else came. With -w, ping sends more packets while it waits.
 */
export function assertAllAnswered({ stdout, stderr }: Ended, count: number): void {
  const answered = [...stdout.matchAll(/^\d+ bytes from .* icmp_seq=(\d+) /gm)].map(([, number]) =>
    Number(number)
  );
  assert.ok(answered.length >= count, stdout + stderr);
  assert.deepEqual(answered.toSorted((a, b) => a - b), answered.map((_, index) => index + 1), stdout);
  assert.doesNotMatch(stdout, /DUP!|^From |wrong data byte/m);
}

/**
 * Asserts the same of `ping -q`, which prints only a summary: exactly `count` packets, each
 * answered once.
 */
export function assertNoneLost({ stdout, stderr }: Ended, count: number): void {
  const [summary] = /^\d+ packets transmitted.*$/m.exec(stdout) ?? [stdout + stderr];
  // This line would show duplicates, errors and losses.
  assert.match(summary, new RegExp(`^${count} packets transmitted, ${count} received, 0% packet loss, time`));
}

/** The number of packets that `ping` sent. */
export function sentBy({ stdout }: Ended): number {
  return Number(/^(\d+) packets transmitted, /m.exec(stdout)?.[1]);
}

/** The errors in the output of `ping`: sender, packet, and text. */
export function errorsOf({ stdout }: Ended): string[] {
  return [...stdout.matchAll(/^From (.*)$/gm)].map(([, words]) => words!);
}

/** The hops in the output of `traceroute -n -q 1`, with the mark of an error: `10.5.51.1 !X`. */
export function hopsOf({ stdout }: Ended): string[] {
  return [...stdout.matchAll(/^ *\d+ {2}(\S+)(?: {2}[\d.]+ ms)?( ![A-Z]\S*)?$/gm)].map(([, who, says = ""]) =>
    who + says
  );
}

/** The hops in the output of `mtr --report --no-dns`, each with its loss. */
export function reportOf({ stdout }: Ended): string[] {
  return [...stdout.matchAll(/^ *\d+\.\|-- (\S+) +([\d.]+%) /gm)].map(([, who, loss]) => `${who} ${loss}`);
}
