/**
 * Every way in which a run ends, with pings to captured blocks that go on, and a count of what
 * leaves by each card. Only Ctrl+C, SIGTERM and SIGHUP open the host again. After any other end it
 * stays closed until another run takes over, or `onion down` opens it.
 */
import assert from "node:assert/strict";
import { type Onion, STAYS_CLOSED } from "./support/onion.ts";
import { Pinging } from "./support/pinging.ts";
import { needing } from "./support/program.ts";
import { Rig, RIG_NEEDS } from "./support/rig.ts";

/** What ends a run, and its exit code. */
interface Way {
  readonly happens: (rig: Rig, onion: Onion, router: number) => unknown;
  /** 1, and a line on stderr that says how to open the host, by default. */
  readonly code?: number;
}

/** A signal to the proxy that kills it. */
function signal(name: Deno.Signal, number: number): Way {
  return { happens: (_, onion) => onion.kill(name), code: 128 + number };
}

const CLOSED: Readonly<Record<string, Way>> = {
  "its router is killed": { happens: (_, __, router) => Deno.kill(router, "SIGKILL") },
  "its router fails": { happens: (_, __, router) => Deno.kill(router, "SIGABRT") },
  "its router is killed and the firewall flushed": {
    happens: (rig, _, router) => {
      Deno.kill(router, "SIGKILL");
      return rig.sh("nft flush ruleset");
    },
  },
  "the TUN interface is deleted": { happens: (rig) => rig.sh("ip link delete tun1") },
  "the proxy is killed": signal("SIGKILL", 9),
  "the proxy fails": signal("SIGABRT", 6),
  "the proxy is ended by SIGQUIT": signal("SIGQUIT", 3),
  "the proxy is ended by SIGALRM": signal("SIGALRM", 14),
  "proxy and router are killed": {
    happens: (_, onion, router) => {
      Deno.kill(router, "SIGKILL");
      onion.kill("SIGKILL");
    },
    code: 128 + 9,
  },
};

Deno.test({
  ...needing("closed end: nothing captured leaves in the clear, also while others start", ...RIG_NEEDS),
  fn: async (t) => {
    for (const [name, { happens, code = 1 }] of Object.entries(CLOSED)) {
      await t.step(name, async () => {
        await using rig = await Rig.up({ cards: 2 });
        const before = await rig.state();
        await using first = await rig.stage3("--exit eth1");
        const { router } = await first.ready();
        {
          await using pinging = Pinging.start(rig);
          assert.ok(await pinging.pass(), "passes at first");
          await happens(rig, first, router);
          const end = await first.ended;
          await first.gone;
          assert.equal(end.code, code, end.stderr);
          assert.equal(end.stderr.includes(STAYS_CLOSED), code === 1, end.stderr);
          assert.deepEqual(await rig.probe(), [0, 0]);
          assert.deepEqual(await rig.clear(), {}, "closed after the end");

          await using failing = await rig.onion(["--stage", "3", "--exit", "nosuch0"]);
          assert.notEqual((await failing.ended).code, 0);
          await failing.gone;
          assert.deepEqual(await rig.probe(), [0, 0]);
          assert.deepEqual(await rig.clear(), {}, "closed after a start that failed");

          await using next = await rig.stage3("--exit eth1");
          assert.deepEqual(await rig.probe(), [3, 3]);
          assert.deepEqual(await rig.clear(), {}, "closed while the next run took over");
          assert.equal((await next.end()).code, 0);
        }
        await rig.down();
        assert.deepEqual(await rig.state(), before);
      });
    }
  },
});

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
