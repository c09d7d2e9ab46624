/**
 * The executable on a machine without Deno, npm, and this repository.
 */
import assert from "node:assert/strict";
import { EMPTY_ROOT_NEEDS, EmptyRoot } from "./support/empty_root.ts";
import { needing, ONION, run, selfExtractingOnion } from "./support/program.ts";

Deno.test({
  ...needing("executable: runs alone in an empty root", ...EMPTY_ROOT_NEEDS),
  fn: async (t) => {
    await using root = await EmptyRoot.enter();
    await Deno.mkdir(`${root.path}/alone`);
    await root.copyIn(ONION, "/alone/onion");
    for (const which of ["first", "second"]) {
      await t.step(`the ${which} start`, async () => {
        const { code, stdout, stderr } = await run(...root.inside("/alone/onion", "--version"));
        assert.deepEqual([code, stderr], [0, ""]);
        assert.match(stdout, /^onion /);
      });
    }
    await t.step("the network belongs to the root", async () => {
      assert.doesNotMatch((await run(...root.beside("ip", "-o", "link"))).stdout, /eth0/);
    });
  },
});

Deno.test({
  ...needing("executable: names the tool that it lacks to unpack itself", ...EMPTY_ROOT_NEEDS),
  fn: async () => {
    await using root = await EmptyRoot.enter();
    await root.copyIn(await selfExtractingOnion(), "/onion");
    await Deno.remove(`${root.path}/usr/bin/gzip`);
    const { code, stderr } = await run(...root.inside("/onion", "--version"));
    assert.deepEqual([code, stderr], [4, "onion: cannot unpack itself without gzip; install it\n"]);
  },
});
