import assert from "node:assert/strict";
import { SysError } from "../../src/errors.ts";
import { check, compileCalls, libcWith } from "../../src/sys/libc.ts";
import { pointerTo } from "../../src/sys/pointer.ts";

const libc = libcWith("close", "eventfd", "read", "write");
/** The functions of another module. */
const others = libcWith("read");

/** Higher than any open descriptor. */
const NONE = 1_000_000;

for (const how of ["by address", "compiled"]) {
  // Compiled functions, and the library, stay loaded.
  Deno.test(
    `libc: calls ${how} return results, memory and errors`,
    { sanitizeResources: false },
    () => {
      const slow = libc.write;
      if (how === "compiled") compileCalls();
      assert.equal(libc.write === slow, how === "by address");
      assert.equal(libc.read === others.read, how === "compiled", "each function is compiled once");
      assert.equal(
        libcWith("read").read === libc.read,
        how === "compiled",
        "for later modules too",
      );

      const fd = check(libc.eventfd(0, 0), "Cannot make an eventfd", "eventfd");
      const [three, taken] = [new Uint8Array(8), new Uint8Array(8)];
      three[0] = 3;
      assert.equal(libc.write(fd, pointerTo(three), 8), 8);
      assert.equal(others.read(fd, pointerTo(taken), 8), 8);
      assert.deepEqual(taken, three);
      assert.equal(libc.close(fd), 0);
      // Many times, because any other call would change errno.
      for (let times = 0; times < 1000; times++) {
        assert.throws(
          () => check(libc.read(times % 2 === 0 ? NONE : fd, pointerTo(taken), 8), "Cannot read", "read"),
          new SysError("Cannot read", "read", "EBADF"),
        );
      }
    },
  );
}
