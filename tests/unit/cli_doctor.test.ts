import assert from "node:assert/strict";
import { diagnosisText, withoutLibc } from "../../src/cli/doctor.ts";

Deno.test("doctor: prints a line for each finding and each stage", () => {
  const text = diagnosisText({
    findings: [
      { name: "ip", mark: "ok", says: "iproute2", stages: [2] },
      { name: "loopback", mark: "lacks", says: "it is down", mend: "ip link set lo up", stages: [1, 2] },
      { name: "leftovers", mark: "unknown", says: "only root may look", stages: [2] },
      { name: "rules", mark: "note", says: "eth\x1b[31m\n  7", stages: [2] },
    ],
    stages: [
      { stage: 1, canRun: true, lacks: [] },
      { stage: 2, canRun: false, lacks: ["loopback", "ip"] },
    ],
  });
  assert.deepEqual(text.split("\n"), [
    "ok       ip         iproute2",
    "lacks    loopback   it is down; ip link set lo up",
    "unknown  leftovers  only root may look",
    // A name from outside must not control the terminal.
    "note     rules      eth [31m 7",
    "",
    "stage 1: can run",
    "stage 2: cannot run: loopback, ip",
  ]);
});

Deno.test("doctor: says that no stage runs without glibc", () => {
  const diagnosis = withoutLibc("libc.so.6: cannot open shared object file");
  assert.deepEqual(diagnosisText(diagnosis).split("\n"), [
    "lacks    C library  libc.so.6: cannot open shared object file; use a Linux with glibc, e.g. Debian",
    "",
    "stage 1: cannot run: C library",
    "stage 2: cannot run: C library",
    "stage 3: cannot run: C library",
    "stage 4: cannot run: C library",
    "stage 5: cannot run: C library",
    "stage 6: cannot run: C library",
  ]);
});
