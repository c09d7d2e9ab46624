/**
 * What a router with an echo exit is told.
 *
 * @module
 */
import type { Cidr } from "../../ip/cidr.ts";
import { cidr } from "../../ip/json.ts";
import { type JsonCodec, record } from "../../json.ts";

/** Settings of an echo exit. */
export interface EchoSettings {
  readonly kind: "echo";
  /** The hosts that answer. Its address is the tunnel's own, which does not. */
  readonly block: Cidr;
}

/** The settings as JSON. */
export const echoSettings: JsonCodec<Omit<EchoSettings, "kind">> = record<Omit<EchoSettings, "kind">>({
  block: cidr,
});
