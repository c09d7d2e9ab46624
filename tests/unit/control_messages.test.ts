import assert from "node:assert/strict";
import fc from "fast-check";
import {
  PROTOCOL_VERSION,
  PROXY_MESSAGE,
  type ProxyMessage,
  ROUTER_MESSAGE,
  type RouterMessage,
  type TrafficSettings,
} from "../../src/control/messages.ts";
import { WireError } from "../../src/errors.ts";
import type { JsonCodec } from "../../src/json.ts";
import { COUNTER_NAMES } from "../../src/trace/counters.ts";
import { address } from "../support/packets.ts";

const TRAFFIC: TrafficSettings = {
  address: address("192.168.201.2"),
  proxy: { address: address("127.0.0.1"), port: 40_000 },
  routers: [{ number: 2, link: { address: address("127.0.0.1"), port: 40_002 } }],
  circuits: "sealed",
  carries: ["icmp"],
  mtu: 1500,
  limits: { circuits: 4096, idle: 660_000 },
  exit: {
    kind: "raw-icmp",
    address: address("192.168.201.2"),
    mark: 8,
    hop: address("10.5.51.1"),
    share: { index: 0, of: 1 },
  },
  logsPackets: true,
  latency: 0,
  cpu: 1,
  captures: "/tmp/captures",
  continues: true,
};
const SETTINGS: ProxyMessage = {
  type: "settings",
  version: PROTOCOL_VERSION,
  logFile: "stage6.router1.out",
  traffic: TRAFFIC,
};

/** How {@linkcode SETTINGS} travels. */
const SETTINGS_JSON = {
  type: "settings",
  version: PROTOCOL_VERSION,
  logFile: "stage6.router1.out",
  traffic: {
    address: "192.168.201.2",
    proxy: "127.0.0.1:40000",
    routers: [{ number: 2, link: "127.0.0.1:40002" }],
    circuits: "sealed",
    carries: ["icmp"],
    mtu: 1500,
    limits: { circuits: 4096, idle: 660_000 },
    exit: {
      kind: "raw-icmp",
      address: "192.168.201.2",
      mark: 8,
      hop: "10.5.51.1",
      share: { index: 0, of: 1 },
    },
    logsPackets: true,
    latency: 0,
    cpu: 1,
    captures: "/tmp/captures",
    continues: true,
  },
};

const UP = { type: "up", version: PROTOCOL_VERSION, pid: 4711, port: 40_001 };

/** Any message of a router, and any of the proxy. */
const routerMessages: fc.Arbitrary<RouterMessage> = fc.oneof(
  fc.record({
    type: fc.constant("up" as const),
    version: fc.constant(PROTOCOL_VERSION),
    pid: fc.integer({ min: 1, max: 2 ** 22 }),
    port: fc.integer({ min: 1, max: 65_535 }),
  }),
  fc.record(
    {
      type: fc.constant("ready" as const),
      key: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((key) => Uint8Array.from(key)),
      silent: fc.array(fc.nat(255)),
    },
    { requiredKeys: ["type"] },
  ),
  fc.record({
    type: fc.constantFrom("alive" as const, "stopped" as const),
    counters: fc.dictionary(fc.constantFrom(...COUNTER_NAMES), fc.maxSafeNat(), { noNullPrototype: true }),
    rejected: fc.maxSafeNat(),
  }),
  fc.record({ type: fc.constant("failed" as const), message: fc.string({ unit: "binary" }) }),
);
const addresses = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
  .map((octets) => address(octets.join(".")));
const endpoints = fc.record({ address: addresses, port: fc.integer({ min: 1, max: 65_535 }) });
const mtus = fc.integer({ min: 68, max: 65_535 });
const exits: fc.Arbitrary<TrafficSettings["exit"]> = fc.oneof(
  fc.record({
    kind: fc.constant("echo" as const),
    block: fc.record({ address: addresses, prefix: fc.nat(32) }),
  }),
  fc.record({
    kind: fc.constant("raw-icmp" as const),
    address: addresses,
    mark: fc.integer({ min: 1, max: 0xffff_ffff }),
    hop: addresses,
    share: fc.record({ index: fc.nat(254), of: fc.integer({ min: 1, max: 255 }) }),
  }, { requiredKeys: ["kind", "address", "mark", "hop", "share"] }),
);
const traffic: fc.Arbitrary<TrafficSettings> = fc.record({
  address: addresses,
  proxy: endpoints,
  routers: fc.array(fc.record({ number: fc.integer({ min: 1, max: 255 }), link: endpoints })),
  circuits: fc.constantFrom("direct", "plain", "sealed"),
  carries: fc.subarray(["icmp", "tcp", "udp"] as const),
  mtu: mtus,
  limits: fc.record({ circuits: fc.nat(), idle: fc.nat() }),
  exit: exits,
  logsPackets: fc.boolean(),
  latency: fc.nat(2000),
  cpu: fc.nat(255),
  captures: fc.string(),
  continues: fc.boolean(),
}, {
  requiredKeys: [
    "proxy",
    "routers",
    "circuits",
    "carries",
    "mtu",
    "limits",
    "exit",
    "logsPackets",
    "latency",
  ],
});
const proxyMessages: fc.Arbitrary<ProxyMessage> = fc.oneof(
  fc.record({ type: fc.constant("stop" as const) }),
  fc.record({
    type: fc.constant("neighbour" as const),
    number: fc.integer({ min: 1, max: 255 }),
    link: endpoints,
  }, { requiredKeys: ["type", "number"] }),
  fc.record(
    {
      type: fc.constant("settings" as const),
      version: fc.constant(PROTOCOL_VERSION),
      logFile: fc.string(),
      traffic,
    },
    { requiredKeys: ["type", "version", "logFile"] },
  ),
);

/** Checks that a message arrives as it was sent. */
function travels<T>(codec: JsonCodec<T>, message: T): void {
  const arrived = codec.decode(JSON.parse(JSON.stringify(codec.encode(message))), "");
  // fast-check's objects have no prototype; their clones do.
  assert.deepEqual(arrived, structuredClone(message));
}

function refuses(codec: JsonCodec<unknown>, json: unknown, message: string): void {
  assert.throws(() => codec.decode(json, ""), { name: "WireError", message });
}

Deno.test("control messages: travel as JSON in which addresses are text", () => {
  assert.deepEqual(PROXY_MESSAGE.encode(SETTINGS), SETTINGS_JSON);
  assert.deepEqual(PROXY_MESSAGE.decode(SETTINGS_JSON, ""), SETTINGS);
  const key = Uint8Array.from({ length: 32 }, (_, index) => index);
  assert.deepEqual(ROUTER_MESSAGE.encode({ type: "ready", key }), { type: "ready", key: key.toHex() });
});

Deno.test("control messages: the decoder reads whatever the encoder writes", () => {
  fc.assert(fc.property(routerMessages, (message) => travels(ROUTER_MESSAGE, message)));
  fc.assert(fc.property(proxyMessages, (message) => travels(PROXY_MESSAGE, message)));
});

/**
 * Every JSON value that differs from `json` in one place: a field removed, added, or replaced by
 * `other`.
 */
function* mutations(json: unknown, other: unknown): Generator<unknown> {
  yield other;
  if (Array.isArray(json)) {
    for (const [index, item] of json.entries()) {
      yield json.toSpliced(index, 1);
      for (const mutated of mutations(item, other)) yield json.with(index, mutated);
    }
  } else if (typeof json === "object" && json !== null) {
    yield { ...json, surplus: other };
    for (const [name, value] of Object.entries(json)) {
      const { [name]: _, ...rest } = json as Record<string, unknown>;
      yield rest;
      for (const mutated of mutations(value, other)) yield { ...json, [name]: mutated };
    }
  }
}

Deno.test("control messages: any change to a message is refused, or makes another valid message", () => {
  const check = <T>(codec: JsonCodec<T>, message: T, other: unknown) => {
    for (const mutated of mutations(codec.encode(message), other)) {
      let read: T;
      try {
        read = codec.decode(mutated, "");
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
        continue;
      }
      // Text keeps one form of an address, so what was accepted is exactly what would be sent.
      assert.deepEqual(codec.encode(read), mutated);
    }
  };
  const others = fc.oneof(fc.jsonValue(), fc.integer());
  fc.assert(fc.property(routerMessages, others, (message, other) => check(ROUTER_MESSAGE, message, other)));
  fc.assert(fc.property(proxyMessages, others, (message, other) => check(PROXY_MESSAGE, message, other)));
});

Deno.test("control messages: each truncation of a message's text is refused", () => {
  const text = JSON.stringify(SETTINGS_JSON);
  for (let length = 0; length < text.length; length++) {
    assert.throws(() => PROXY_MESSAGE.decode(JSON.parse(text.slice(0, length)), ""));
  }
});

Deno.test("control messages: refuse an unknown type, and JSON that is no message", () => {
  for (const json of [null, 7, "up", ["type"], true]) {
    refuses(ROUTER_MESSAGE, json, "the message must be an object");
  }
  refuses(ROUTER_MESSAGE, {}, "the message has an unknown type undefined");
  refuses(ROUTER_MESSAGE, { type: 7 }, "the message has an unknown type 7");
  refuses(ROUTER_MESSAGE, { type: "stop" }, 'the message has an unknown type "stop"');
  refuses(PROXY_MESSAGE, { type: "up" }, 'the message has an unknown type "up"');
  refuses(
    ROUTER_MESSAGE,
    JSON.parse("[".repeat(30_000) + "]".repeat(30_000)),
    "the message must be an object",
  );
});

Deno.test("control messages: refuse a missing, a surplus, and a wrong field by its name", () => {
  const up = (change: object) => ({ ...UP, ...change });
  refuses(ROUTER_MESSAGE, { type: "up", version: PROTOCOL_VERSION, pid: 1 }, "up.port is missing");
  refuses(ROUTER_MESSAGE, up({ host: "h" }), 'up has an unknown field "host"');
  for (const port of [0, 65_536, 1.5, "1", null]) {
    refuses(ROUTER_MESSAGE, up({ port }), "up.port must be an integer from 1 to 65535");
  }
  refuses(ROUTER_MESSAGE, { type: "ready", key: "00" }, "ready.key must be 32 bytes in hex");
  const counts = (counters: object) => ({ type: "alive", counters, rejected: 0 });
  refuses(
    ROUTER_MESSAGE,
    counts({ "link-in": -1 }),
    `alive.counters.link-in must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}`,
  );
  refuses(ROUTER_MESSAGE, counts({ bogus: 1 }), 'alive.counters has an unknown field "bogus"');
  refuses(ROUTER_MESSAGE, { type: "failed", message: 7 }, "failed.message must be text");
  refuses(
    PROXY_MESSAGE,
    { type: "neighbour", number: 0 },
    "neighbour.number must be an integer from 1 to 255",
  );
  refuses(PROXY_MESSAGE, { type: "stop", now: true }, 'stop has an unknown field "now"');
});

Deno.test("control messages: refuse another version before anything else", () => {
  const version = "must be 2, the version spoken here";
  refuses(ROUTER_MESSAGE, { type: "up", version: 1, host: "old" }, `up.version ${version}`);
  refuses(PROXY_MESSAGE, { type: "settings", version: "2" }, `settings.version ${version}`);
});

Deno.test("control messages: refuse text that is no address, endpoint, or block", () => {
  const traffic = (change: object) => ({
    ...SETTINGS_JSON,
    traffic: { ...SETTINGS_JSON.traffic, ...change },
  });
  for (const address of ["192.168.201.256", "192.168.201", "", "router", " 10.0.0.1", 0x0a00_0001, null]) {
    refuses(PROXY_MESSAGE, traffic({ address }), "settings.traffic.address must be an IPv4 address");
  }
  for (const link of ["127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:1x", ":1", 7]) {
    refuses(
      PROXY_MESSAGE,
      traffic({ routers: [{ number: 2, link }] }),
      "settings.traffic.routers[0].link must be an IPv4 address and a port",
    );
  }
  for (const block of ["10.5.51.2", "10.5.51.2/33", "10.5.51.2/", "/24"]) {
    refuses(
      PROXY_MESSAGE,
      traffic({ exit: { kind: "echo", block } }),
      "settings.traffic.exit.block must be an IPv4 block",
    );
  }
  refuses(
    PROXY_MESSAGE,
    traffic({ exit: { kind: "carrier-pigeon" } }),
    'settings.traffic.exit has an unknown kind "carrier-pigeon"',
  );
});

/**
 * The names in code font in the first column of a table of docs/protocol.md §11, whose header
 * begins like this.
 */
function documentedFields(header: string): string[] {
  const document = Deno.readTextFileSync(new URL("../../docs/protocol.md", import.meta.url));
  const section = document.slice(document.indexOf("## 11."), document.indexOf("## 12."));
  const [table = ""] = section.slice(section.indexOf(header)).split("\n\n");
  return [...table.matchAll(/^\| (?:router \| |proxy +\| )?`(\w+)`/gm)].map(([, name]) => name!);
}

Deno.test("control messages: docs/protocol.md lists every type, and every field of the settings", () => {
  assert.deepEqual(documentedFields("| from "), [
    "up",
    "settings",
    "ready",
    "alive",
    "neighbour",
    "stop",
    "stopped",
    "failed",
  ]);
  assert.deepEqual(documentedFields("| field "), Object.keys(SETTINGS_JSON.traffic));
});
