/**
 * What a router with a raw ICMP exit is told.
 *
 * @module
 */
import { ipAddress } from "../../ip/json.ts";
import { integer, type JsonCodec, optional, record } from "../../json.ts";
import type { RawIcmpConfig } from "./core.ts";
import type { IdentifierShare } from "./translator.ts";

/**
 * Settings of a raw ICMP exit: the configuration of its core, and what else its socket is bound to.
 */
export interface RawIcmpSettings extends RawIcmpConfig {
  readonly kind: "raw-icmp";
  /** The mark of outgoing packets. A routing rule tells them from the host's own by it. */
  readonly mark: number;
}

/** The settings as JSON. */
export const rawIcmpSettings: JsonCodec<Omit<RawIcmpSettings, "kind">> = record<
  Omit<RawIcmpSettings, "kind">
>({
  address: ipAddress,
  hop: ipAddress,
  share: optional(record<IdentifierShare>({ index: integer(0, 254), of: integer(1, 255) })),
  mark: integer(1, 0xffff_ffff),
});
