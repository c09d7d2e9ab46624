import assert from "node:assert/strict";
import { startsRun } from "../../src/cli/words.ts";

const starts = (line: string) => startsRun(line.split(" ").filter((word) => word !== ""));

Deno.test("startsRun: tells runs from commands and from questions such as --help", () => {
  const runs = ["--stage 2", "onion.conf", "--hops 3 onion.conf", "-- --help", "constructor", "--bogus"];
  const others = ["", "help", "doctor --json", "lab up", "completion bash --stage", "router"];
  const asking = ["--help", "--stage 2 -h", "-V", "--stage 9 --version", "--stage 3 --print-commands"];
  assert.deepEqual(runs.filter((line) => !starts(line)), []);
  assert.deepEqual([...others, ...asking].filter(starts), []);
});
