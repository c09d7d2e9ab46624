/**
 * The one example of the library that needs root and a network. Its text comes from mod.ts, and
 * runs in a network namespace.
 *
 *     ping ─► kernel ─► tun7 ─► the example ─► tun7 ─► kernel ─► ping
 */
import assert from "node:assert/strict";
import { ROOT } from "../../scripts/project.ts";
import { Namespace } from "./support/namespace.ts";
import { Text } from "./support/onion.ts";
import { needing, scratchDirectory } from "./support/program.ts";
import { assertAllAnswered } from "./support/tools.ts";

/** The examples in mod.ts that documentation tests do not run. */
function ignoredExamples(): string[] {
  const text = Deno.readTextFileSync(`${ROOT}mod.ts`);
  return [...text.matchAll(/^ \* ```ts ignore\n((?: \*.*\n)*?) \* ```$/gm)].map(([, lines]) =>
    lines!.replaceAll(/^ \* ?/gm, "")
  );
}

Deno.test({
  ...needing("library: the printed example of a TUN interface answers pings", "root", "ip", "ping"),
  fn: async () => {
    const [example, ...others] = ignoredExamples();
    assert.ok(
      example !== undefined && others.length === 0,
      "one example is not run as a test of documentation",
    );
    await using namespace = await Namespace.make({ ipv6: false });
    // In the checkout, because `@onion/onion` is this library there.
    using scratch = scratchDirectory();
    const file = `${scratch.path}/example.ts`;
    Deno.writeTextFileSync(file, example);
    const deno = [Deno.execPath(), "run", "--quiet", "--check", "-A", "--config", `${ROOT}deno.json`];
    const [program = "", ...args] = [...namespace.enter, ...deno, file];
    const child = new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "piped" })
      .spawn();
    const said = new Text(child.stderr);
    try {
      await namespace.run("sh", "-c", UNTIL_UP);
      const pinged = await namespace.run("ping", "-n", "-c", "5", "-i", "0.1", "-w", "10", "10.7.0.9");
      assertAllAnswered(pinged, 5);
      assertAllAnswered(
        await namespace.run("ping", "-n", "-c", "1", "-s", "1400", "-w", "10", "10.7.0.200"),
        1,
      );
    } finally {
      child.kill("SIGKILL");
      await child.status;
      await said.whole;
    }
    assert.equal(said.text, "");
  },
});

/** Waits until the example has taken its interface up. Only the kernel knows that. */
const UNTIL_UP =
  "timeout 30 sh -c 'until ip address show dev tun7 up 2>/dev/null | grep -q 10.7.0.1; do sleep 0.05; done'";
