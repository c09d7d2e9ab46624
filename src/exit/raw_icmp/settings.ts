/**
 * What a router with a raw ICMP exit is told.
 *
 * @module
 */
import { ipAddress } from "../../ip/json.ts";
import { integer, type JsonCodec, optional, record, text } from "../../json.ts";
import type { RawIcmpConfig } from "./core.ts";
import type { IdentifierShare } from "./translator.ts";

/**
 * Settings of a raw ICMP exit: the configuration of its core, and what else its socket is bound to.
 */
export interface RawIcmpSettings extends RawIcmpConfig {
  readonly kind: "raw-icmp";
  /** The interface of all outgoing and incoming packets. */
  readonly device: string;
  /** The mark of outgoing packets, if a routing rule must tell them from the host's own. */
  readonly mark?: number;
}

/** The settings as JSON. */
export const rawIcmpSettings: JsonCodec<Omit<RawIcmpSettings, "kind">> = record<
  Omit<RawIcmpSettings, "kind">
>({
  address: ipAddress,
  mtu: integer(68, 65_535),
  hop: ipAddress,
  share: optional(record<IdentifierShare>({ index: integer(0, 254), of: integer(1, 255) })),
  device: text,
  mark: optional(integer(1, 0xffff_ffff)),
});
