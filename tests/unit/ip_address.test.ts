import assert from "node:assert/strict";
import fc from "fast-check";
import {
  addressBits,
  addressFromBits,
  addressKey,
  formatEndpoint,
  formatIp,
  type IpAddress,
  isHostAddress,
  LOOPBACK,
  parseIp,
  readAddress,
  UNSPECIFIED,
  writeAddress,
} from "../../src/ip/address.ts";
import { address } from "../support/packets.ts";

const anyAddress = fc.integer({ min: 0, max: 0xffff_ffff }).map(addressFromBits);

Deno.test("address: is a key of a Map, and survives JSON and structured cloning", () => {
  const [one, other] = [parseIp("200.5.51.2")!, parseIp("200.5.51.2")!];
  assert.equal(new Map([[one, "same"]]).get(other), "same");
  assert.equal(JSON.parse(JSON.stringify(one)), one);
  assert.equal(structuredClone(one), one);
});

Deno.test("address: formats the named addresses", () => {
  assert.equal(formatIp(UNSPECIFIED), "0.0.0.0");
  assert.equal(formatIp(LOOPBACK), "127.0.0.1");
  assert.equal(formatEndpoint({ address: LOOPBACK, port: 40_001 }), "127.0.0.1:40001");
});

Deno.test("address: is read and written in network byte order, and never negative", () => {
  fc.assert(fc.property(anyAddress, (address) => {
    const view = new DataView(new ArrayBuffer(6));
    writeAddress(view, 1, address);
    assert.equal(readAddress(view, 1), address);
    assert.equal(view.getUint8(1), addressBits(address) >>> 24);
    assert.ok(addressBits(address) >= 0);
  }));
});

Deno.test("address: does not mix with numbers, so the type checker finds every mistake", () => {
  const one = LOOPBACK;
  // @ts-expect-error: no number is an address
  const zero: IpAddress = 0;
  // @ts-expect-error: no address is a number
  const bits: number = one;
  // @ts-expect-error: nor can one compute with it
  const next = one + 1;
  // @ts-expect-error: or compare it with a number
  assert.equal(one === 0, false);
  assert.deepEqual([zero, bits, next], [0, 0x7f00_0001, 0x7f00_0002]);
});

Deno.test("addressKey: differs if the address or the number differs", () => {
  const any = fc.tuple(anyAddress, fc.nat(0xffff));
  fc.assert(fc.property(any, any, (one, other) => {
    const isSame = one[0] === other[0] && one[1] === other[1];
    assert.equal(addressKey(...one) === addressKey(...other), isSame);
  }));
});

Deno.test("parseIp: accepts four decimal octets and nothing else", () => {
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
  ) assert.equal(parseIp(text), undefined, JSON.stringify(text));
});

Deno.test("formatIp: prints four decimal octets", () => {
  for (const text of ["0.0.0.0", "10.5.51.2", "128.0.0.1", "255.255.255.255"]) {
    assert.equal(formatIp(address(text)), text);
  }
});

Deno.test("isHostAddress: accepts the addresses that RFC 1122 §3.2.1.3 allows a host", () => {
  const cases: [address: string, host: boolean][] = [
    ["0.0.0.0", false], // this network
    ["0.1.2.3", false],
    ["1.0.0.0", true],
    ["10.5.51.2", true],
    ["126.255.255.255", true],
    ["127.0.0.1", false], // loopback
    ["128.0.0.0", true],
    ["223.255.255.255", true],
    ["224.0.0.1", false], // multicast
    ["240.0.0.1", false], // reserved
    ["255.255.255.255", false], // broadcast
  ];
  for (const [text, host] of cases) assert.equal(isHostAddress(address(text)), host, text);
});

Deno.test("parseIp: reads what formatIp writes", () => {
  fc.assert(fc.property(anyAddress, (address) => assert.equal(parseIp(formatIp(address)), address)));
});
