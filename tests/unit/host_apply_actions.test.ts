import { OperatorError } from "../../src/errors.ts";
import { carryOut } from "../../src/host/apply/actions.ts";
import { readSysctl } from "../../src/host/apply/sysctl.ts";
import { type Action, command, show, toWords } from "../../src/host/plan/action.ts";
import { parseCidr } from "../../src/ip/cidr.ts";
import assert from "node:assert/strict";

const block = (text: string) => parseCidr(text)!;

Deno.test("actions: an error names the command that a person would type", async () => {
  const missing = 'Cannot find device "onion-none": if_nametoindex failed: ENODEV';
  const cases: readonly (readonly [Action, string, string | RegExp])[] = [
    [{ kind: "set up", device: "onion-none" }, "ip link set onion-none up", missing],
    [{ kind: "set MTU", device: "onion-none", mtu: 1392 }, "ip link set onion-none mtu 1392", missing],
    [
      { kind: "add address", device: "onion-none", block: block("10.5.51.2/24") },
      "ip address add 10.5.51.2/24 dev onion-none",
      missing,
    ],
    [
      { kind: "add address", device: "lo", block: block("127.0.0.1/8") }, // which it has
      "ip address add 127.0.0.1/8 dev lo",
      /^Cannot give lo an address: RTM_NEWADDR failed: (EEXIST|EPERM)$/,
    ],
    [
      { kind: "set sysctl", name: "net.ipv4.conf.onion-none.rp_filter", value: "1" },
      "sysctl -w net.ipv4.conf.onion-none.rp_filter=1",
      /^No such file or directory \(os error 2\)/,
    ],
    [command("sh", "-c", "exit 3"), "sh -c 'exit 3'", "exit code 3"],
  ];
  for (const [action, line, why] of cases) {
    assert.equal(show(toWords(action)), line);
    await assert.rejects(carryOut(action), ({ name, message, remedy }) => {
      const start = `\`${line}\` failed: `;
      assert.equal(name, "OperatorError");
      assert.ok(message.startsWith(start), message);
      if (typeof why === "string") assert.equal(message.slice(start.length), why);
      else assert.match(message.slice(start.length), why);
      assert.equal(remedy, "run it by hand to see why");
      return true;
    });
  }
});

Deno.test("actions: an interface and a sysctl are changed without a program", async () => {
  const path = Deno.env.get("PATH") ?? "";
  const directory = await Deno.makeTempDir();
  try {
    for (const program of ["ip", "sysctl"]) {
      Deno.writeTextFileSync(`${directory}/${program}`, "#!/bin/sh\necho started >&2; exit 9\n", {
        mode: 0o755,
      });
    }
    Deno.env.set("PATH", `${directory}:${path}`);
    const actions: readonly Action[] = [
      { kind: "set up", device: "onion-none" },
      { kind: "set MTU", device: "onion-none", mtu: 1392 },
      { kind: "add address", device: "onion-none", block: block("10.5.51.2/24") },
      { kind: "set sysctl", name: "net.ipv4.conf.onion-none.rp_filter", value: "1" },
    ];
    for (const action of actions) await assert.rejects(carryOut(action), { message: /failed: (?!started)/ });
    await assert.rejects(carryOut(command("ip", "link")), { message: /failed: started$/ });
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("sysctl: dots separate the parts of a name, or slashes if a part contains dots", async () => {
  assert.equal(readSysctl("kernel.ostype"), "Linux");
  assert.equal(readSysctl("kernel/ostype"), "Linux");
  assert.equal(readSysctl("net.ipv4.conf.lo.rp_filter"), readSysctl("net/ipv4/conf/lo/rp_filter"));
  assert.equal(readSysctl("net/ipv4/conf/eth0.5/rp_filter"), undefined);
  assert.equal(readSysctl("kernel.none"), undefined);
  await assert.rejects(
    carryOut({ kind: "set sysctl", name: "net/ipv4/conf/none.5/rp_filter", value: "2" }),
    (error) =>
      error instanceof OperatorError &&
      error.message.startsWith(
        "`sysctl -w net/ipv4/conf/none.5/rp_filter=2` failed: No such file or directory",
      ),
  );
});
