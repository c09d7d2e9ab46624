import assert from "node:assert/strict";
import fc from "fast-check";
import { type Direction, flowOf } from "../../src/carry/flow.ts";
import { Ipv4View } from "../../src/ip/ipv4.ts";
import { replaceAddress } from "../../src/ip/rewrite.ts";
import { address, echo, hex, ipv4, type Ipv4Header, pattern, poisoned } from "../support/packets.ts";

const [CLIENT, WORLD, OTHER, ROUTER] = ["10.0.2.15", "128.30.2.155", "18.9.22.69", "100.64.1.1"];
const [ICMP, TCP, UDP, GRE] = [1, 6, 17, 47];

const SYN = hex("9c43 01bb 12345678 00000000 5002 faf0 0000 0000");
const QUERY = hex("9c40 0035 000d 0000 7175657279");

/** A packet in its buffer, and the view of it. */
function wrapped(packet: Uint8Array) {
  const [buffer, ip] = [poisoned(packet), new Ipv4View()];
  assert.equal(ip.wrap(buffer), undefined);
  return [buffer, ip] as const;
}

/** The flow of a packet. */
function flow(direction: Direction, header: Partial<Ipv4Header>, payload: Uint8Array): string | undefined {
  return flowOf(...wrapped(ipv4(header, payload)), direction);
}

/** The first 8 bytes of a segment between two ports. */
const ports = (from: number, to: number) => Uint8Array.of(from >> 8, from, to >> 8, to, ...new Uint8Array(4));

const OUT = { source: CLIENT, destination: WORLD };
const HOME = { source: WORLD, destination: CLIENT };

Deno.test("flow: is the same for a packet and its answer", () => {
  for (const protocol of [TCP, UDP]) {
    const out = flow("outward", { ...OUT, protocol }, ports(40_003, 443));
    assert.notEqual(out, undefined);
    assert.equal(flow("homeward", { ...HOME, protocol }, ports(443, 40_003)), out);
    assert.notEqual(
      flow("outward", { ...HOME, protocol }, ports(443, 40_003)),
      out,
      "the remote host is no client",
    );
  }
  assert.equal(flow("homeward", HOME, echo({ type: 0, id: 7 })), flow("outward", OUT, echo({ id: 7 })));
});

Deno.test("flow: differs by protocol, address, port, and echo identifier", () => {
  const flows = [
    flow("outward", { ...OUT, protocol: TCP }, ports(1, 2)),
    flow("outward", { ...OUT, protocol: UDP }, ports(1, 2)),
    flow("outward", { ...OUT, protocol: TCP }, ports(2, 1)),
    flow("outward", { ...OUT, protocol: TCP }, ports(1, 3)),
    flow("outward", { ...OUT, protocol: TCP }, ports(3, 2)),
    flow("outward", { ...OUT, protocol: TCP, destination: OTHER }, ports(1, 2)),
    flow("outward", { ...OUT, protocol: TCP, source: OTHER }, ports(1, 2)),
    flow("outward", OUT, echo({ id: 1 })),
    flow("outward", OUT, echo({ id: 2 })),
  ];
  assert.equal(new Set(flows).size, flows.length);
});

Deno.test("flow: ignores an echo's sequence number and data", () => {
  const one = flow("outward", OUT, echo({ id: 7, sequence: 1 }));
  assert.equal(
    flow("outward", { ...OUT, id: 9, ttl: 3 }, echo({ id: 7, sequence: 2, data: pattern(9) })),
    one,
  );
});

Deno.test("flow: of an ICMP error is that of the quoted packet", () => {
  for (const [protocol, payload] of [[TCP, SYN], [UDP, QUERY], [ICMP, echo({ id: 7 })]] as const) {
    const out = flow("outward", { ...OUT, protocol }, payload);
    const quote = ipv4({ ...OUT, protocol, ttl: 1 }, payload).subarray(0, 28);
    for (const type of [3, 11, 12]) {
      const error = echo({ type, id: 0, sequence: 0, data: quote });
      assert.equal(
        flow("homeward", { source: ROUTER, destination: CLIENT }, error),
        out,
        `protocol ${protocol}`,
      );
    }
  }
  // The other way: the client's host refuses an answer.
  const answer = ipv4({ ...HOME, protocol: UDP }, ports(53, 40_000));
  const refusal = echo({ type: 3, code: 3, id: 0, sequence: 0, data: answer });
  assert.equal(flow("outward", OUT, refusal), flow("outward", { ...OUT, protocol: UDP }, ports(40_000, 53)));
});

Deno.test("flow: is undefined for a later fragment, a cut quote, and an unknown protocol", () => {
  assert.equal(flow("outward", { ...OUT, offset: 8 }, pattern(24)), undefined);
  assert.equal(flow("homeward", HOME, echo({ type: 11, data: pattern(20) })), undefined);
  assert.equal(flow("outward", { ...OUT, protocol: GRE }, pattern(24)), undefined);
  const quote = ipv4({ ...OUT, protocol: GRE }, pattern(24));
  assert.equal(flow("homeward", HOME, echo({ type: 11, data: quote })), undefined);
});

Deno.test("flow: is the same for two packets exactly if all parts of the key are equal", () => {
  const few = fc.constantFrom(0, 1, 0x8000, 0xffff);
  const host = fc.constantFrom("0.0.0.1", "0.1.0.0", "128.0.0.1", "255.255.255.255");
  const any = fc.tuple(fc.constantFrom(TCP, UDP), host, few, host, few);
  const key = (
    [protocol, source, from, destination, to]: readonly [number, string, number, string, number],
  ) => flow("outward", { protocol, source, destination }, ports(from, to));
  fc.assert(fc.property(any, any, (one, other) => {
    assert.equal(key(one) === key(other), one.join() === other.join());
  }));
});

Deno.test("flow: of an answer is the client's once its address is restored", () => {
  const reply = wrapped(
    ipv4({ source: WORLD, destination: "192.168.203.2", protocol: TCP }, ports(443, 40_003)),
  );
  replaceAddress(...reply, "destination", address(CLIENT));
  assert.equal(flowOf(...reply, "homeward"), flow("outward", { ...OUT, protocol: TCP }, ports(40_003, 443)));
});
