/**
 * The messages of the control protocol: their types, and the codecs that write and check them.
 *
 * Nothing else in the program uses these types, so a change elsewhere does not change what is sent.
 * Only a kind of exit brings its own settings. `docs/protocol.md` §11 describes the messages. An
 * incompatible change needs a new {@linkcode PROTOCOL_VERSION}.
 *
 * @module
 */
import { type ExitSettings, exitSettings } from "../exit/registry.ts";
import type { Endpoint, IpAddress } from "../ip/address.ts";
import { Protocol, type ProtocolName } from "../ip/ipv4.ts";
import { endpoint, ipAddress } from "../ip/json.ts";
import {
  boolean,
  bytes,
  exactly,
  type Fields,
  integer,
  type JsonCodec,
  list,
  oneOf,
  optional,
  record,
  text,
  variant,
} from "../json.ts";
import { COUNTER_NAMES, type Snapshot } from "../trace/counters.ts";

/** The version of the messages. The first message each way carries it. */
export const PROTOCOL_VERSION = 2;

/** What a router tells the proxy. */
export type RouterMessage =
  /** The first message, with the port of the data link. */
  | { readonly type: "up"; readonly version: number; readonly pid: number; readonly port: number }
  /** The settings are in force. */
  | { readonly type: "ready" } & RouterReady
  /** Sent every second. */
  | { readonly type: "alive" } & RouterCounts
  /** The last message of a router that was asked to stop. */
  | { readonly type: "stopped" } & RouterCounts
  /** The last message of a router that cannot go on, with the reason. */
  | { readonly type: "failed"; readonly message: string };

/** What a router reports when its settings are in force. */
export interface RouterReady {
  /** The static public key of a router that seals, 32 bytes. */
  readonly key?: Uint8Array<ArrayBuffer>;
  /** The numbers of the neighbours that it cannot hear; 0 is the proxy. Missing if it hears all. */
  readonly silent?: readonly number[];
}

/** What a router has counted so far. */
interface RouterCounts {
  readonly counters: Snapshot;
  /** Control datagrams that it has rejected. */
  readonly rejected: number;
}

/** What the proxy tells a router. */
export type ProxyMessage =
  | { readonly type: "settings"; readonly version: number } & RouterSettings
  /** Another router has died, or a new process has taken its place. */
  | { readonly type: "neighbour" } & ReplacedRouter
  | { readonly type: "stop" };

/** How a router is to behave. */
export interface RouterSettings {
  /** The path of the classic log file, relative to the router's working directory. */
  readonly logFile: string;
  /** How packets travel. Missing in a stage that carries none. */
  readonly traffic?: TrafficSettings;
}

/** What a router needs to know to carry packets. */
export interface TrafficSettings {
  /** The source of packets that leave. Missing if packets stay inside. */
  readonly address?: IpAddress;
  /** The proxy's data link. */
  readonly proxy: Endpoint;
  /** The other routers. */
  readonly routers: readonly OtherRouter[];
  /** The kind of the circuits. */
  readonly circuits: "direct" | "plain" | "sealed";
  /** The protocols that packets may have. */
  readonly carries: readonly ProtocolName[];
  /** Length in bytes of the longest packet that may be sent back. */
  readonly mtu: number;
  /** The max number of circuits, and the time in ms after which an unused one is removed. */
  readonly limits: { readonly circuits: number; readonly idle: number };
  /** How packets leave. */
  readonly exit: ExitSettings;
  /** Whether the log has lines about single packets. */
  readonly logsPackets: boolean;
  /** Milliseconds by which each cell is delayed. */
  readonly latency: number;
  /** The processor that all packet threads share while traffic is light. */
  readonly cpu?: number;
  /** The directory for capture files, if packets are recorded. */
  readonly captures?: string;
  /** Whether the router takes the place of one that died, and continues its log and captures. */
  readonly continues?: boolean;
}

/** A router that has died, or its successor. */
export interface ReplacedRouter {
  /** Its number, from 1. */
  readonly number: number;
  /** The data link of its new process. Missing while there is none. */
  readonly link?: Endpoint;
}

/** Another router of the network. */
export interface OtherRouter {
  /** Its number, from 1. */
  readonly number: number;
  /** Its data link. */
  readonly link: Endpoint;
}

const PROTOCOLS = Object.keys(Protocol) as ProtocolName[];
const VERSION = exactly(PROTOCOL_VERSION, "the version spoken here");
const PORT = integer(1, 65_535);
const ROUTER = integer(1, 255);
const COUNT = integer(0, Number.MAX_SAFE_INTEGER);

const counts: JsonCodec<RouterCounts> = record({
  counters: record<Snapshot>(
    Object.fromEntries(COUNTER_NAMES.map((name) => [name, optional(COUNT)])) as Fields<Snapshot>,
  ),
  rejected: COUNT,
});

const traffic: JsonCodec<TrafficSettings> = record<TrafficSettings>({
  address: optional(ipAddress),
  proxy: endpoint,
  routers: list(record({ number: ROUTER, link: endpoint })),
  circuits: oneOf("direct", "plain", "sealed"),
  carries: list(oneOf(...PROTOCOLS)),
  mtu: integer(68, 65_535),
  limits: record({ circuits: COUNT, idle: COUNT }),
  exit: exitSettings,
  logsPackets: boolean,
  latency: integer(0, 60_000),
  cpu: optional(integer(0, 0xffff)),
  captures: optional(text),
  continues: optional(boolean),
});

/** Writes and checks messages of a router. */
export const ROUTER_MESSAGE: JsonCodec<RouterMessage> = variant("type", {
  up: record({ version: VERSION, pid: integer(1, 0x7fff_ffff), port: PORT }),
  ready: record<RouterReady>({ key: optional(bytes(32)), silent: optional(list(integer(0, 255))) }),
  alive: counts,
  stopped: counts,
  failed: record({ message: text }),
});

/** Writes and checks messages of the proxy. */
export const PROXY_MESSAGE: JsonCodec<ProxyMessage> = variant("type", {
  settings: record<Omit<Extract<ProxyMessage, { type: "settings" }>, "type">>({
    version: VERSION,
    logFile: text,
    traffic: optional(traffic),
  }),
  neighbour: record<ReplacedRouter>({ number: ROUTER, link: optional(endpoint) }),
  stop: record({}),
});
