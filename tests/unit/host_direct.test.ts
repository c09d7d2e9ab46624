import assert from "node:assert/strict";
import { OperatorError } from "../../src/errors.ts";
import { type Command, execute } from "../../src/host/execute.ts";
import { directly, readSysctl } from "../../src/host/direct.ts";

const words = (line: string) => line.split(" ") as unknown as Command;

Deno.test("what needs no program: sysctls, and an interface's address, its MTU, and that it is up", () => {
  for (
    const line of [
      "sysctl -w net.ipv4.ip_forward=1",
      "ip address add 10.5.51.2/24 dev tun1",
      "ip link set tun1 up",
      "ip link set tun1 mtu 1392",
    ]
  ) assert.ok(directly(words(line)), line);
  for (
    const line of [
      "ip address add fd00::1/64 dev tun1",
      "ip address delete 10.5.51.2/24 dev tun1",
      "ip address show",
      "ip link set tun1 down",
      "ip link show",
      "ip rule add from 10.0.2.15 table 9 priority 8",
      "nft -f -",
      "true",
    ]
  ) assert.equal(directly(words(line)), undefined, line);
});

Deno.test("what fails is said as of a program", async () => {
  for (
    const [line, why] of [
      ["ip link set onion-none up", 'Cannot find device "onion-none": if_nametoindex failed: ENODEV'],
      [
        "ip address add 10.5.51.2/24 dev onion-none",
        'Cannot find device "onion-none": if_nametoindex failed: ENODEV',
      ],
      [
        "ip address add 127.0.0.1/8 dev lo", // which it has
        /^Cannot give lo an address: RTM_NEWADDR failed: (EEXIST|EPERM)$/,
      ],
      [
        "sysctl -w net.ipv4.conf.onion-none.rp_filter=1",
        /^No such file or directory \(os error 2\)/,
      ],
    ] as const
  ) {
    await assert.rejects(execute(words(line)), ({ name, message, remedy }) => {
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

Deno.test("sysctls: dots part a name, and slashes one whose parts have dots", async () => {
  assert.equal(readSysctl("kernel.ostype"), "Linux");
  assert.equal(readSysctl("kernel/ostype"), "Linux");
  assert.equal(readSysctl("net.ipv4.conf.lo.rp_filter"), readSysctl("net/ipv4/conf/lo/rp_filter"));
  assert.equal(readSysctl("net/ipv4/conf/eth0.5/rp_filter"), undefined);
  assert.equal(readSysctl("kernel.none"), undefined);
  await assert.rejects(
    execute(["sysctl", "-w", "net/ipv4/conf/none.5/rp_filter=2"]),
    (error) =>
      error instanceof OperatorError &&
      error.message.startsWith(
        "`sysctl -w net/ipv4/conf/none.5/rp_filter=2` failed: No such file or directory",
      ),
  );
});
