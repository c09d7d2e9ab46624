/**
 * onion as a library: the pieces that the program is made of, for tests, experiments and programs of your own.
 *
 * Play the host of a whole network in memory, without root, without a kernel:
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { echoRequest, formatIpv4, icmpType, IcmpType, Ipv4View, MemoryNetwork, PacketBuffer } from "@onion/onion";
 *
 * const host = 0x0a053302; // 10.5.51.2
 * const network = new MemoryNetwork({ address: { address: host, prefix: 24 } });
 * network.tun.inject(echoRequest({ source: host, destination: 0x0a053307, identifier: 7, sequence: 1 }));
 * network.run();
 *
 * const packet = new PacketBuffer();
 * packet.load(network.tun.take()[0]!);
 * const ip = new Ipv4View();
 * assert.equal(ip.wrap(packet), undefined);
 * assert.equal(formatIpv4(ip.source), "10.5.51.7");
 * assert.equal(icmpType(packet.view, ip.payload), IcmpType.echoReply);
 * ```
 *
 * Play the Internet, too, and see what `traceroute` would show: the onion is one hop, then come the world's own.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { echoRequest, formatIpv4, Ipv4View, MemoryNetwork, MemoryWorld, PacketBuffer } from "@onion/onion";
 *
 * const world = new MemoryWorld({
 *   address: 0xc0a8c902, // 192.168.201.2
 *   routers: [{ address: 0xc0a8c901 }, { address: 0x64400101 }], // 192.168.201.1, 100.64.1.1
 * });
 * const network = new MemoryNetwork({
 *   address: { address: 0x0a053302, prefix: 24 },
 *   worlds: [world],
 * });
 * const [source, destination] = [0x0a00020f, 0x801e029b]; // 10.0.2.15, 128.30.2.155
 * for (let ttl = 1; ttl <= 4; ttl++) {
 *   network.tun.inject(echoRequest({ source, destination, identifier: 7, sequence: ttl, ttl }));
 * }
 * network.run();
 *
 * const packet = new PacketBuffer();
 * const ip = new Ipv4View();
 * const hops = network.tun.take().map((bytes) => {
 *   packet.load(bytes);
 *   assert.equal(ip.wrap(packet), undefined);
 *   return formatIpv4(ip.source);
 * });
 * assert.deepEqual(hops, ["10.5.51.1", "192.168.201.1", "100.64.1.1", "128.30.2.155"]);
 * ```
 *
 * Let it build sealed circuits: three routers of four, a layer of encryption for each, and the client's address in none.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import {
 *   echoRequest,
 *   findProvider,
 *   formatIpv4,
 *   icmpType,
 *   IcmpType,
 *   Ipv4View,
 *   MemoryNetwork,
 *   MemoryWorld,
 *   PacketBuffer,
 * } from "@onion/onion";
 *
 * const exits = [0xc0a8c902, 0xc0a8ca02, 0xc0a8cb02, 0xc0a8cc02]; // 192.168.201.2 to 192.168.204.2
 * const network = new MemoryNetwork({
 *   address: { address: 0x0a053302, prefix: 24 },
 *   worlds: exits.map((address) => new MemoryWorld({ address })),
 *   circuits: { hops: 3, crypto: await findProvider(["node:crypto"]) },
 * });
 * const [client, destination] = [0x0a00020f, 0x801e029b]; // 10.0.2.15, 128.30.2.155
 * network.tun.inject(echoRequest({ source: client, destination, identifier: 7, sequence: 1 }));
 * network.run();
 *
 * const packet = new PacketBuffer();
 * packet.load(network.tun.take()[0]!);
 * const ip = new Ipv4View();
 * assert.equal(ip.wrap(packet), undefined);
 * assert.equal(icmpType(packet.view, ip.payload), IcmpType.echoReply);
 * assert.equal(`${formatIpv4(ip.source)} to ${formatIpv4(ip.destination)}`, "128.30.2.155 to 10.0.2.15");
 * assert.equal(network.counters.proxy.get("circuits-built"), 1);
 * ```
 *
 * Answer an echo request yourself:
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { answerEcho, echoRequest } from "@onion/onion";
 *
 * const request = echoRequest({ source: 0x0a053302, destination: 0x0a053307, identifier: 7, sequence: 1 });
 * const reply = answerEcho(request)!;
 * assert.equal(reply.length, request.length);
 * assert.equal(answerEcho(reply), undefined); // a reply is no request
 * ```
 *
 * Open a TUN interface, and answer every ping of 10.7.0.x. It needs root, so the tests run it in a network of its own:
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
 *   await new Promise((resolve) => setTimeout(resolve, 1)); // nothing waits: look again in a millisecond
 * }
 * ```
 *
 * @module
 */
export { checksum, isIntact, updateChecksum } from "./src/buffer/checksum.ts";
export { HEADROOM, MAX_PACKET, PacketBuffer } from "./src/buffer/packet_buffer.ts";
export {
  CELL_HEADER,
  cellCircuit,
  CellType,
  cellType,
  formatCircuit,
  isCell,
  unwrapCell,
  wrapCell,
} from "./src/cell/cell.ts";
export { type LinkAddress, readExtend, writeExtend } from "./src/cell/extend.ts";
export type { RouterDescription } from "./src/circuit/origin/builder.ts";
export {
  BuiltCircuits,
  type BuiltConfig,
  CIRCUIT_LIMITS,
  type CircuitLimits,
  type CircuitOwner,
} from "./src/circuit/origin/pool.ts";
export { type Circuits, GivenCircuits, type Without } from "./src/circuit/origin/circuits.ts";
export { type Dialect, longestPacket, PLAIN, SEALED } from "./src/circuit/dialect.ts";
export { HOP_LIMITS, type HopLimits } from "./src/circuit/relay/hop_table.ts";
export { CircuitIds } from "./src/circuit/ids.ts";
export { OriginCircuit } from "./src/circuit/origin/origin_circuit.ts";
export { choosePath, routerFor, type RouterIndex } from "./src/circuit/origin/path.ts";
export { chooseProvider, findProvider } from "./src/crypto/provider/choose.ts";
export { Layer, LAYER_OVERHEAD, type LayerFault, type LayerKeys, SEAL_LIMIT } from "./src/crypto/layer.ts";
export {
  type Finished,
  HANDSHAKE_OVERHEAD,
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
  type CryptoProvider,
  type KeyPair,
  type ProviderName,
  PROVIDERS,
} from "./src/crypto/provider.ts";
export { REPLAY_WINDOW, ReplayWindow } from "./src/crypto/replay_window.ts";
export { SysError, WireError } from "./src/errors.ts";
export { answerEcho } from "./src/exit/echo/echo.ts";
export type { Deliver, Exit } from "./src/exit/exit.ts";
export {
  type IdentifierShare,
  TRANSLATOR_LIMITS,
  type TranslatorLimits,
} from "./src/exit/raw_icmp/translator.ts";
export { MemoryWorld, type MemoryWorldOptions, type WorldHost, type WorldRouter } from "./src/sim/world.ts";
export {
  type IcmpSocket,
  type OutgoingFields,
  type RawIcmpConfig,
  RawIcmpExit,
  type SendResult,
} from "./src/exit/raw_icmp/raw_icmp.ts";
export { FaultLink, type Faults } from "./src/sim/fault_link.ts";
export { type Link, type Neighbour, NOTHING, STRANGER } from "./src/device/link.ts";
export { type Datagram, MemoryLink, MemoryMedium } from "./src/sim/link.ts";
export { type MemoryCircuits, MemoryNetwork, type MemoryNetworkOptions } from "./src/sim/network.ts";
export {
  type CircuitPlan,
  longestOf,
  type Network,
  type NetworkRouter,
  proxyConfig,
  routerConfig,
} from "./src/node/network.ts";
export {
  type CircuitSource,
  type ProxyConfig,
  ProxyCore,
  type ProxyNeighbour,
  type ProxyOutbox,
} from "./src/node/proxy.ts";
export {
  type GivenCircuit,
  type RouterConfig,
  RouterCore,
  type RouterNeighbour,
  type RouterOutbox,
  type RouterSecrets,
} from "./src/node/router.ts";
export {
  type CounterName,
  COUNTERS,
  Counters,
  DROP_REASONS,
  type DropReason,
  type Snapshot,
} from "./src/trace/counters.ts";
export {
  blankEvent,
  type Event,
  EventKind,
  EventRing,
  type EventSink,
  ringBytes,
  SILENT,
} from "./src/trace/events.ts";
export type { Tap, Trace } from "./src/trace/trace.ts";
export { MemoryTun } from "./src/sim/tun.ts";
export { type OpenTun, openTun } from "./src/device/open_tun.ts";
export type { Tun } from "./src/device/tun.ts";
export type { Cidr } from "./src/ip/cidr.ts";
export {
  echoIdentifier,
  echoRequest,
  type EchoRequestFields,
  echoSequence,
  icmpCode,
  type IcmpFault,
  icmpFault,
  IcmpType,
  icmpType,
  turnIntoEchoReply,
} from "./src/ip/icmp.ts";
export {
  formatIpv4,
  fragmentIpv4,
  type Ipv4Fault,
  type Ipv4Fields,
  Ipv4View,
  isHostAddress,
  Protocol,
  writeIpv4Header,
} from "./src/ip/ipv4.ts";
export {
  Reassembler,
  REASSEMBLY_LIMITS,
  type ReassemblyFault,
  type ReassemblyLimits,
} from "./src/ip/reassembly.ts";
