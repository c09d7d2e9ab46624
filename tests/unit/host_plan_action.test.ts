import { execute } from "../../src/host/apply/programs.ts";
import { show } from "../../src/host/plan/action.ts";
import assert from "node:assert/strict";

Deno.test("action: show quotes a command so that a shell reads the same words", async () => {
  assert.equal(
    show(["ip", "address", "add", "10.5.51.2/24", "dev", "tun1"]),
    "ip address add 10.5.51.2/24 dev tun1",
  );
  assert.equal(
    show(["sysctl", "-w", "net/ipv4/conf/eth0.5/rp_filter=2"]),
    "sysctl -w net/ipv4/conf/eth0.5/rp_filter=2",
  );
  const words = [
    "",
    "a b",
    "it's",
    "''",
    "$HOME",
    "`id`",
    "a;b",
    "{ x; }",
    "&",
    "a\nb",
    "\\",
    '"',
    "*",
    "~",
    "!",
    "#",
    "tün",
    "--x=y",
    "\ud83e\udde7",
  ];
  // The shell itself shows how it reads the words.
  const printed = await execute(["sh", "-c", show(["printf", "%s\\0", ...words])]);
  assert.deepEqual(printed.split("\0").slice(0, -1), words);
});
