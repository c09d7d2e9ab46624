/**
 * onion as a library: the parts of the program, for tests, experiments and programs of your own.
 *
 * Run a proxy and a router in memory, without root and without a kernel. You play the host:
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { echoRequest, formatPacket, MemoryNetwork, parseIp, parsePacket } from "@onion/onion";
 *
 * const host = parseIp("10.5.51.2")!;
 * const network = new MemoryNetwork({ address: { address: host, prefix: 24 } });
 * network.tun.inject(echoRequest({ source: host, destination: parseIp("10.5.51.7")!, identifier: 7, sequence: 1 }));
 * network.run();
 *
 * const [reply] = network.tun.take();
 * assert.equal(formatPacket(parsePacket(reply!)!), "10.5.51.7 → 10.5.51.2 echo reply");
 * ```
 *
 * Play the Internet behind the router, too. `traceroute` would show this: the onion is one hop,
 * then the routers of the world follow.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { echoRequest, MemoryNetwork, MemoryWorld, parseIp, parsePacket } from "@onion/onion";
 *
 * const world = new MemoryWorld({
 *   address: parseIp("192.168.201.2")!,
 *   routers: [{ address: parseIp("192.168.201.1")! }, { address: parseIp("100.64.1.1")! }],
 * });
 * const network = new MemoryNetwork({
 *   address: { address: parseIp("10.5.51.2")!, prefix: 24 },
 *   worlds: [world],
 * });
 * const [source, destination] = [parseIp("10.0.2.15")!, parseIp("128.30.2.155")!];
 * for (let ttl = 1; ttl <= 4; ttl++) {
 *   network.tun.inject(echoRequest({ source, destination, identifier: 7, sequence: ttl, ttl }));
 * }
 * network.run();
 *
 * const hops = network.tun.take().map((bytes) => parsePacket(bytes)!.source);
 * assert.deepEqual(hops, ["10.5.51.1", "192.168.201.1", "100.64.1.1", "128.30.2.155"]);
 * ```
 *
 * Build sealed circuits, and watch what crosses the links. Each of two routers has a layer of
 * encryption, and the client's address is in none of them:
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import {
 *   cellName,
 *   echoRequest,
 *   findProvider,
 *   formatPacket,
 *   MemoryNetwork,
 *   MemoryWorld,
 *   parseCell,
 *   parseIp,
 *   parsePacket,
 * } from "@onion/onion";
 *
 * const exits = [parseIp("192.168.201.2")!, parseIp("192.168.202.2")!, parseIp("192.168.203.2")!];
 * const network = new MemoryNetwork({
 *   address: { address: parseIp("10.5.51.2")!, prefix: 24 },
 *   worlds: exits.map((address) => new MemoryWorld({ address })),
 *   circuits: { hops: 2, crypto: await findProvider(["node:crypto"]) },
 * });
 * const crossed: string[] = [];
 * network.medium.tamper = (from, _to, datagram) => {
 *   const isOut = from === network.ports.proxy;
 *   if (isOut) crossed.push(`${cellName(parseCell(datagram)!.type)}, ${datagram.length} bytes`);
 *   return [datagram];
 * };
 * const [client, destination] = [parseIp("10.0.2.15")!, parseIp("128.30.2.155")!];
 * network.tun.inject(echoRequest({ source: client, destination, identifier: 7, sequence: 1 }));
 * network.run();
 *
 * const [reply] = network.tun.take();
 * assert.equal(formatPacket(parsePacket(reply!)!), "128.30.2.155 → 10.0.2.15 echo reply");
 * assert.deepEqual(crossed, [
 *   "handshake, 56 bytes",
 *   "sealed extend, 86 bytes",
 *   "relay sealed data, 84 bytes", // 28 of the packet, 8 of the header, 24 for each layer
 * ]);
 * assert.equal(network.counters.proxy.get("circuits-built"), 1);
 * ```
 *
 * Agree on keys by a Noise handshake, and seal a packet in a layer:
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { CellType, findProvider, initiate, Layer, PacketBuffer, respond } from "@onion/onion";
 *
 * const crypto = await findProvider(["node:crypto"]);
 * const prologue = new TextEncoder().encode("both ends must agree on this");
 * const keys = crypto.generateKeyPair(); // of the router; the proxy knows the public one
 * using initiation = initiate(crypto, { prologue, remoteStatic: keys.publicKey });
 * const response = respond(crypto, { prologue, keys }, initiation.message)!;
 * using proxy = new Layer(crypto, initiation.finish(response.message)!);
 * using router = new Layer(crypto, response);
 *
 * const packet = new PacketBuffer();
 * packet.load(new TextEncoder().encode("a secret"));
 * proxy.seal(packet, CellType.relaySealed);
 * assert.equal(packet.length, 8 + 24);
 * const copy = packet.copy();
 * assert.equal(router.peel(packet, CellType.relaySealed), undefined); // no fault
 * assert.equal(new TextDecoder().decode(packet.copy()), "a secret");
 * packet.load(copy);
 * assert.equal(router.peel(packet, CellType.relaySealed), "replayed");
 * ```
 *
 * Answer an echo request:
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { answerEcho, echoRequest, parseIp } from "@onion/onion";
 *
 * const request = echoRequest({ source: parseIp("10.5.51.2")!, destination: parseIp("10.5.51.7")!, identifier: 7, sequence: 1 });
 * const reply = answerEcho(request)!;
 * assert.equal(reply.length, request.length);
 * assert.equal(answerEcho(reply), undefined); // a reply is not a request
 * ```
 *
 * Open a TUN interface and answer every ping to 10.7.0.x. This needs root, so the tests run it in a
 * network namespace:
 *
 * ```ts ignore
 * import { answerEcho, openTun, PacketBuffer } from "@onion/onion";
 *
 * using tun = await openTun("tun7");
 * for (const change of ["address add 10.7.0.1/24 dev tun7", "link set tun7 up"]) {
 *   await new Deno.Command("ip", { args: change.split(" ") }).output();
 * }
 * const packet = new PacketBuffer();
 * for (;;) {
 *   while (tun.receive(packet)) {
 *     const reply = answerEcho(packet.copy());
 *     if (reply === undefined) continue;
 *     packet.load(reply);
 *     tun.send(packet);
 *   }
 *   await new Promise((resolve) => setTimeout(resolve, 1)); // nothing waits: look again in 1 ms
 * }
 * ```
 *
 * @module
 */
// Packets: parse, answer, cut and join.
export { checksum } from "./src/buffer/checksum.ts";
export { PacketBuffer } from "./src/buffer/packet_buffer.ts";
export { answerEcho } from "./src/exit/echo/core.ts";
export { type Endpoint, formatIp, type IpAddress, parseIp } from "./src/ip/address.ts";
export type { Cidr } from "./src/ip/cidr.ts";
export { echoRequest, type EchoRequestFields, IcmpType } from "./src/ip/icmp.ts";
export { fragmentIpv4, type Ipv4Fault, Ipv4View } from "./src/ip/ipv4.ts";
export { formatPacket, type Packet, parsePacket } from "./src/ip/packet.ts";
export { Reassembler, type ReassemblyFault, type ReassemblyLimits } from "./src/ip/reassembly.ts";

// A TUN interface of the kernel.
export { type OpenTun, openTun } from "./src/device/open_tun.ts";
export type { Tun } from "./src/device/tun.ts";
export { SysError, WireError } from "./src/errors.ts";

// A proxy, routers and the Internet behind them, in memory.
export type { CircuitLimits } from "./src/circuit/origin/pool.ts";
export type { Link, Neighbour } from "./src/device/link.ts";
export type { IcmpSocket, OutgoingFields, SendResult } from "./src/exit/raw_icmp/core.ts";
export type { Faults } from "./src/sim/fault_link.ts";
export type { Datagram, MemoryLink, MemoryMedium } from "./src/sim/link.ts";
export { type MemoryCircuits, MemoryNetwork, type MemoryNetworkOptions } from "./src/sim/network.ts";
export type { MemoryPackets } from "./src/sim/packets.ts";
export type { MemoryTun } from "./src/sim/tun.ts";
export { MemoryWorld, type MemoryWorldOptions, type WorldHost, type WorldRouter } from "./src/sim/world.ts";
export {
  type CounterName,
  COUNTERS,
  type Counters,
  DROP_REASONS,
  type DropReason,
  type Snapshot,
} from "./src/trace/counters.ts";
export { type EventSink, SILENT } from "./src/trace/events.ts";

// Cells, layers and the handshake.
export { CellType } from "./src/cell/cell.ts";
export { type Cell, cellName, parseCell } from "./src/cell/parse.ts";
export { Layer, type LayerFault, type LayerKeys } from "./src/crypto/layer.ts";
export {
  type Finished,
  type HandshakeOptions,
  initiate,
  type InitiateOptions,
  type Initiation,
  respond,
  type RespondOptions,
  type Response,
  type TransportKeys,
} from "./src/crypto/noise.ts";
export {
  type Aead,
  type Bytes,
  type CryptoProvider,
  type KeyPair,
  type ProviderName,
  PROVIDERS,
} from "./src/crypto/provider.ts";
export { findProvider } from "./src/crypto/provider/choose.ts";
