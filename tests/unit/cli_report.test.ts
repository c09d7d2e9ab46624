import assert from "node:assert/strict";
import { report, wantsStack } from "../../src/cli/report.ts";
import { ConfigError, ExitCode, OperatorError, SysError } from "../../src/errors.ts";

Deno.test("report: an operator's error names cause and remedy", () => {
  assert.deepEqual(report(new ConfigError("there is no stage 12", "stages go from 1 to 9")), {
    line: "onion: there is no stage 12; stages go from 1 to 9",
    exitCode: 2,
  });
  const error = new OperatorError("TUN is\nmissing\x1b[31m", "run `sudo modprobe tun`", ExitCode.hostLacks);
  assert.deepEqual(report(error), {
    line: "onion: TUN is missing [31m; run `sudo modprobe tun`",
    exitCode: 4,
  });
});

Deno.test("report: a system error names what failed", () => {
  assert.deepEqual(report(new SysError('Cannot attach to TUN device "tun1"', "ioctl", "EBUSY")), {
    line: 'onion: Cannot attach to TUN device "tun1": ioctl failed: EBUSY',
    exitCode: 1,
  });
});

Deno.test("report: an internal error asks for a bug report", () => {
  const line = (reason: string) =>
    `onion: internal error: ${reason}; please report it with --log-level debug`;
  assert.deepEqual(report(new TypeError("x is undefined")), { line: line("x is undefined"), exitCode: 1 });
  assert.equal(report(new RangeError()).line, line("RangeError"));
  assert.equal(report("thrown").line, line("thrown"));
});

Deno.test("report: shows a stack only on request", () => {
  assert.equal(wantsStack(["--stage", "2"]), false);
  assert.equal(wantsStack(["--stage", "2", "--log-level", "debug"]), true);
  assert.equal(wantsStack(["--log-level=debug"]), true);
});
