/**
 * Addresses in JSON: as the text that people write.
 *
 * @module
 */
import { type JsonCodec, parsed } from "../json.ts";
import { type Endpoint, formatEndpoint, formatIp, type IpAddress, parseIp } from "./address.ts";
import { type Cidr, formatCidr, parseCidr } from "./cidr.ts";

/** An address, e.g. `"192.168.201.2"`. */
export const ipAddress: JsonCodec<IpAddress> = parsed("an IPv4 address", formatIp, parseIp);

/** An address and a port, e.g. `"127.0.0.1:40001"`. */
export const endpoint: JsonCodec<Endpoint> = parsed("an IPv4 address and a port", formatEndpoint, (text) => {
  const [, host = "", digits = ""] = /^(.*):([1-9]\d{0,4})$/.exec(text) ?? [];
  const [address, port] = [parseIp(host), Number(digits)];
  return address === undefined || port > 65_535 ? undefined : { address, port };
});

/** A block, e.g. `"10.5.51.2/24"`. */
export const cidr: JsonCodec<Cidr> = parsed("an IPv4 block", formatCidr, parseCidr);
