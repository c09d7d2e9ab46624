/**
 * Compares docs/protocol.md with the code: its blocks of bytes and its tables of numbers. A failure
 * prints the right bytes, ready to be copied.
 *
 * @module
 */
import assert from "node:assert/strict";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { CELL_HEADER, CellType } from "../../src/cell/cell.ts";
import { CIRCUIT_LIMITS } from "../../src/circuit/origin/pool.ts";
import { type CircuitKindName, longestPacket } from "../../src/circuit/kind.ts";
import { HOP_LIMITS } from "../../src/circuit/relay/hop_table.ts";
import { PROLOGUE } from "../../src/circuit/prologue.ts";
import { FIRST_REPEAT, LAST_REPEAT } from "../../src/control/conversation.ts";
import { MAX_FRAME, SESSION_KEY } from "../../src/control/frame.ts";
import { PROTOCOL_VERSION } from "../../src/control/messages.ts";
import { LAYER_OVERHEAD, SEAL_LIMIT } from "../../src/crypto/layer.ts";
import { HANDSHAKE_OVERHEAD, initiate, respond } from "../../src/crypto/noise.ts";
import type { CryptoProvider, KeyPair } from "../../src/crypto/provider.ts";
import { REPLAY_WINDOW } from "../../src/crypto/replay_window.ts";
import { EchoExit } from "../../src/exit/echo/core.ts";
import { TRANSLATOR_LIMITS } from "../../src/exit/raw_icmp/translator.ts";
import { ProxyCore } from "../../src/node/proxy.ts";
import { RouterCore } from "../../src/node/router.ts";
import { GREETING } from "../../src/run/data_link.ts";
import { SILENCE } from "../../src/run/launch/supervisor.ts";
import { Counters, DROP_REASONS } from "../../src/trace/counters.ts";
import { SILENT } from "../../src/trace/events.ts";
import { echoRequest } from "../../src/ip/icmp.ts";
import { LONGEST_ERROR } from "../../src/ip/icmp_error.ts";
import { REASSEMBLY_LIMITS } from "../../src/ip/reassembly.ts";
import { keyPair, PROVIDER, testEach } from "../support/crypto.ts";
import { address, concat, plainChecksum } from "../support/packets.ts";
import { nonceOf, sealPlainly } from "../support/plain_aead.ts";

const DOCUMENT = Deno.readTextFileSync(new URL("../../docs/protocol.md", import.meta.url));

/**
 * The private keys of the example in hex: the routers' static keys, and the ephemeral keys in the
 * order of the hops.
 */
const KEYS = {
  static: ["11".repeat(32), "22".repeat(32)],
  proxy: ["a1".repeat(32), "a2".repeat(32)],
  router: ["b1".repeat(32), "b2".repeat(32)],
} as const;

const PROXY_LINK = { address: address("127.0.0.1"), port: 40_000 };
const ROUTERS = [
  { link: { address: address("127.0.0.1"), port: 40_001 }, address: address("192.168.201.2") },
  { link: { address: address("127.0.0.1"), port: 40_002 }, address: address("192.168.202.2") },
] as const;
const PING = echoRequest({
  source: address("10.5.51.2"),
  destination: address("10.5.51.7"),
  identifier: 7,
  sequence: 1,
  data: new TextEncoder().encode("onion"),
});

/** A provider that generates the key pairs of a list. */
function withKeyPairs(provider: CryptoProvider, privateKeys: readonly string[]): CryptoProvider {
  const pairs = privateKeys.map((key) => keyPair(provider, key));
  return new Proxy(provider, {
    get(target, name) {
      if (name === "generateKeyPair") return () => pairs.shift()!;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/**
 * What crosses each link, and reaches the exit and the host, when one ping passes `hops` routers.
 */
function passages(provider: CryptoProvider, hops: number): readonly (readonly [string, Uint8Array])[] {
  const seen: (readonly [string, Uint8Array])[] = [];
  const parties = ["proxy", "1", "2"];
  const arrivals: { readonly to: number; readonly from: number; readonly cell: Uint8Array }[] = [];
  const carry = (from: number, to: number, cell: PacketBuffer) => {
    seen.push([`${parties[from]} to ${parties[to]}`, cell.copy()]);
    return arrivals.push({ from, to, cell: cell.copy() }) > 0;
  };
  const trace = () => ({ counters: new Counters(), events: SILENT });
  const statics = KEYS.static.map((key) => keyPair(provider, key));
  const known = ROUTERS.map((router, index) => ({ ...router, key: statics[index]!.publicKey }));

  const proxy = new ProxyCore(
    {
      routers: known.slice(0, hops),
      circuits: { kind: "sealed", hops, limits: CIRCUIT_LIMITS },
      carries: ["icmp"],
      linkMtu: 1500,
    },
    {
      toTun: (packet) => seen.push(["to the host", packet.copy()]) > 0,
      toRouter: (index, cell) => carry(0, index + 1, cell),
    },
    trace(),
    () => 0,
    withKeyPairs(provider, KEYS.proxy),
  );
  const routers = ROUTERS.map((self, index) => {
    const others = ROUTERS.flatMap((other, place) => other === self ? [] : [{ ...other.link, place }]);
    return new RouterCore(
      {
        number: index + 1,
        address: self.address,
        neighbours: [
          { ...PROXY_LINK, isRouter: false },
          ...others.map((other) => ({ ...other, isRouter: true })),
        ],
        circuits: "sealed",
        carries: ["icmp"],
        mtu: 1500,
        limits: HOP_LIMITS,
      },
      {
        toNeighbour: (to, cell) => carry(index + 1, to === 0 ? 0 : others[to - 1]!.place + 1, cell),
      },
      trace(),
      (deliver) => {
        const echo = new EchoExit(
          { address: address("10.5.51.2"), prefix: 24 },
          (circuit, packet, isFromWorld) => {
            seen.push(["from the exit", packet.copy()]);
            deliver(circuit, packet, isFromWorld, 0);
          },
          trace(),
        );
        return {
          deadline: Infinity,
          expire: () => {},
          send(circuit, packet, ip) {
            seen.push(["to the exit", packet.copy()]);
            echo.send(circuit, packet, ip, 0);
          },
        };
      },
      { crypto: withKeyPairs(provider, [KEYS.router[index]!]), keys: statics[index]! },
    );
  });

  const buffer = new PacketBuffer();
  buffer.load(PING);
  proxy.fromTun(buffer, 0);
  for (let next = arrivals.shift(); next !== undefined; next = arrivals.shift()) {
    const { from, to, cell } = next;
    buffer.load(cell);
    if (to === 0) proxy.fromLink(from - 1, buffer, 0);
    // A router's first neighbour is the proxy. The other router is the second.
    else routers[to - 1]!.fromLink(from === 0 ? 0 : 1, buffer, 0);
  }
  return seen;
}

/** The result of a handshake with fixed keys. */
function handshake(provider: CryptoProvider, hop: number) {
  const pair = (key: string): KeyPair => keyPair(provider, key);
  const keys = pair(KEYS.static[hop]!);
  const initiation = initiate(provider, {
    remoteStatic: keys.publicKey,
    prologue: PROLOGUE,
    ephemeral: pair(KEYS.proxy[hop]!),
  });
  const response = respond(
    provider,
    { keys, prologue: PROLOGUE, ephemeral: pair(KEYS.router[hop]!) },
    initiation.message,
  )!;
  const finished = initiation.finish(response.message)!;
  assert.deepEqual([response.receive, response.send], [finished.send, finished.receive]);
  return { first: initiation.message, second: response.message, out: finished.send, back: finished.receive };
}

/** Every block of bytes that the document must have, by name. */
function blocks(provider: CryptoProvider): Map<string, Uint8Array> {
  const blocks = new Map<string, Uint8Array>();
  const name = (name: string, bytes: Uint8Array) => blocks.set(name, bytes);
  name("ping", PING);
  KEYS.static.forEach((key, index) => {
    name(`static ${index + 1}`, keyPair(provider, key).publicKey);
    const { out, back } = handshake(provider, index);
    name(`out ${index + 1}`, out);
    name(`back ${index + 1}`, back);
  });
  for (const [hops, prefix] of [[1, "one hop"], [2, "two hops"]] as const) {
    passages(provider, hops).forEach(([where, bytes], index) =>
      name(`${prefix} ${index + 1} ${where}`, bytes)
    );
  }
  return blocks;
}

/**
 * The document's blocks of bytes: a fence with `bytes` and a name, and lines of hex, a bar, and
 * words.
 */
function documented(): Map<string, string> {
  return new Map([...DOCUMENT.matchAll(/^```bytes ([^\n]+)\n([^`]*)^```/gm)].map(([, name, text]) => {
    const lines = text!.trimEnd().split("\n").map((line) => line.split("|")[0]!);
    return [name!, lines.join("").replace(/\s/g, "")];
  }));
}

/** Bytes as in the document: 16 a line, in words of four. */
function written(bytes: Uint8Array): string {
  return bytes.toHex().replace(/.{8}/g, "$& ").replace(/(?:.{9}){4}/g, "$&\n").replace(/ +$/gm, "").trim();
}

testEach("protocol.md: bytes match the code", (provider) => {
  const found = documented();
  const expected = blocks(provider);
  const complaints = [...expected].flatMap(([name, bytes]) =>
    found.get(name) === bytes.toHex() ? [] : ["```bytes " + name + "\n" + written(bytes) + "\n```\n"]
  );
  assert.equal(complaints.length, 0, `docs/protocol.md should have:\n\n${complaints.join("\n")}`);
  assert.deepEqual(
    [...found.keys()].filter((name) => !expected.has(name)),
    [],
    "blocks of nothing in the code",
  );
});

Deno.test("protocol.md: layers match a plain RFC 8439", () => {
  const { out, back } = handshake(PROVIDER, 0);
  const cells = new Map(
    passages(PROVIDER, 1).map(([where, bytes]) => [`${where} ${bytes[0]!.toString(16)}`, bytes]),
  );
  const sealed = (type: number, key: Uint8Array, packet: Uint8Array) =>
    concat(
      Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 1),
      new Uint8Array(8),
      sealPlainly(key, nonceOf(0), Uint8Array.of(type, 0, 0, 0), packet),
    );
  const { relaySealed, returnSealed } = CellType;
  assert.deepEqual(
    cells.get("proxy to 1 61"),
    sealed(relaySealed, out, withBlank(PING, IPV4_SOURCE)),
  );
  assert.deepEqual(
    cells.get("1 to proxy 64"),
    sealed(returnSealed, back, withBlank(cells.get("from the exit 45")!, IPV4_DESTINATION)),
  );
});

Deno.test("protocol.md: longest packets match the code", () => {
  const rows = [...DOCUMENT.matchAll(/^\| (plain|sealed) +\| ([\d,]+) +\|((?: *[\d,]+ *\|){5})$/gm)];
  const number = (text: string) => Number(text.replaceAll(",", ""));
  for (const [row, kind, mtu, cells] of rows) {
    const longest = cells!.split("|").slice(0, 5).map(number);
    const expected = [1, 2, 3, 4, 5].map((hops) =>
      longestPacket(number(mtu!), kind as CircuitKindName, hops)
    );
    assert.deepEqual(longest, expected, row);
  }
  assert.equal(rows.length, 4);
});

Deno.test("protocol.md: limits match the code", () => {
  const limits: Record<string, number> = {
    CELL_HEADER,
    LAYER_OVERHEAD,
    HANDSHAKE_OVERHEAD,
    SEAL_LIMIT,
    REPLAY_WINDOW,
    LONGEST_ERROR,
    SESSION_KEY,
    MAX_FRAME,
    FIRST_REPEAT,
    LAST_REPEAT,
    PROTOCOL_VERSION,
    GREETING,
    "SILENCE.max": SILENCE.max,
    ...withPrefix("CIRCUIT_LIMITS", CIRCUIT_LIMITS),
    ...withPrefix("HOP_LIMITS", HOP_LIMITS),
    ...withPrefix("REASSEMBLY_LIMITS", REASSEMBLY_LIMITS),
    ...withPrefix("TRANSLATOR_LIMITS", TRANSLATOR_LIMITS),
  };
  const rows = [...DOCUMENT.matchAll(/^\|[^|\n]+\| ([^|\n]+?) *\| `([A-Z_]+(?:\.\w+)?)`/gm)];
  const found = new Map(rows.map(([, value, name]) => [name!, value!]));
  for (const [name, limit] of Object.entries(limits)) assert.equal(valueOf(found.get(name)), limit, name);
});

Deno.test("protocol.md: every bold name is a drop reason", () => {
  const named = [...DOCUMENT.matchAll(/\*\*([a-z0-9]+(?:-[a-z0-9]+)*)\*\*/g)].map(([, reason]) => reason!);
  assert.ok(named.length > 0);
  assert.deepEqual(named.filter((reason) => !(reason in DROP_REASONS)), []);
});

/** Offsets of the checksum and the addresses in an IPv4 header (RFC 791 §3.1). */
const [IPV4_CHECKSUM, IPV4_SOURCE, IPV4_DESTINATION] = [10, 12, 16];

/** A packet with an address of zeros. */
function withBlank(packet: Uint8Array, at: number): Uint8Array {
  const blank = packet.slice().fill(0, at, at + 4).fill(0, IPV4_CHECKSUM, IPV4_CHECKSUM + 2);
  new DataView(blank.buffer).setUint16(IPV4_CHECKSUM, plainChecksum(blank.subarray(0, 20)));
  return blank;
}

function withPrefix(prefix: string, limits: object): Record<string, number> {
  return Object.fromEntries(Object.entries(limits).map(([name, limit]) => [`${prefix}.${name}`, limit]));
}

/** Parses a limit of the document, e.g. `2^32 cells`, `15 s` (as ms), `4 MiB`, `8,128`. */
function valueOf(text: string | undefined): number {
  const [, digits = "", exponent, unit = ""] = /^([\d,]+)(?:\^(\d+))?(?: ([\w/]+))?/.exec(text ?? "") ?? [];
  const base = Number(digits.replaceAll(",", "") || NaN);
  const scale: Record<string, number> = { s: 1000, MiB: 2 ** 20 };
  return (exponent === undefined ? base : base ** Number(exponent)) * (scale[unit] ?? 1);
}
