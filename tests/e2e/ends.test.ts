/**
 * How runs end, with pings to captured blocks and a count of what leaves by each card.
 */
import assert from "node:assert/strict";
import { needing } from "./support/program.ts";
import { Rig, RIG_NEEDS } from "./support/rig.ts";

Deno.test({
  ...needing("open end: Ctrl+C, SIGTERM and SIGHUP open the host again", ...RIG_NEEDS),
  fn: async (t) => {
    await using rig = await Rig.up({ cards: 2 });
    const before = await rig.state();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      await t.step(signal, async () => {
        await using onion = await rig.stage3("--exit eth1");
        assert.deepEqual(await rig.probe(), [3, 3]);
        assert.deepEqual(await rig.clear(), {}, "closed while it is up");
        assert.equal((await onion.end(signal)).code, 0);
        assert.deepEqual(await rig.state(), before);
        assert.deepEqual(await rig.probe(), [3, 3]);
        assert.deepEqual(await rig.clear(), { eth0: 6 }, "open after it");
        await rig.reset();
      });
    }
  },
});
