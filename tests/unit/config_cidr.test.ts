import assert from "node:assert/strict";
import fc from "fast-check";
import { formatCidr, parseCidr, parseIpv4 } from "../../src/config/cidr.ts";
import { formatIpv4 } from "../../src/ip/ipv4.ts";

const address = fc.integer({ min: 0, max: 0xffffffff });

Deno.test("an address is an unsigned number in host order", () => {
  assert.equal(parseIpv4("10.5.51.2"), 0x0a053302);
  assert.equal(parseIpv4("255.255.255.255"), 0xffffffff);
  assert.equal(parseIpv4("0.0.0.0"), 0);
});

Deno.test("an address is four decimal octets and nothing else", () => {
  for (
    const text of [
      "",
      "10.5.51",
      "10.5.51.2.3",
      "10.5.51.",
      "10.5.51.256",
      "10.5.051.2",
      "10.5.51.+2",
      "10.5.51.0x2",
      " 10.5.51.2",
      "10.5.51.2\n",
      "::1",
    ]
  ) assert.equal(parseIpv4(text), undefined, JSON.stringify(text));
});

Deno.test("a block is an address, a slash and a prefix length", () => {
  assert.deepEqual(parseCidr("10.5.51.2/24"), { address: 0x0a053302, prefix: 24 });
  assert.deepEqual(parseCidr("0.0.0.0/0"), { address: 0, prefix: 0 });
  for (
    const text of [
      "",
      "/24",
      "10.5.51.2",
      "10.5.51.2/",
      "10.5.51.2/33",
      "10.5.51.2/024",
      "10.5.51.2/24/8",
      "10.5.51.2/-1",
    ]
  ) assert.equal(parseCidr(text), undefined, JSON.stringify(text));
});

Deno.test("addresses and blocks survive being written and read", () => {
  fc.assert(fc.property(address, fc.integer({ min: 0, max: 32 }), (address, prefix) => {
    assert.equal(parseIpv4(formatIpv4(address)), address);
    assert.deepEqual(parseCidr(formatCidr({ address, prefix })), { address, prefix });
  }));
});
