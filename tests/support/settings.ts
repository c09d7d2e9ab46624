/**
 * Settings for tests.
 *
 * @module
 */
import { STAGES } from "../../src/config/stages.ts";

/** What `--stage 2` alone means. */
export const STAGE_2_DEFAULTS = {
  stage: STAGES[1],
  routers: 1,
  hops: 1,
  circuitLifetime: 600,
  linkMtu: 65_535,
  tun: "tun1",
  address: { address: 0x0a053302, prefix: 24 },
  from: undefined,
  capture: [{ address: 0x12000000, prefix: 8 }, { address: 0x80000000, prefix: 8 }],
  table: 9,
  priority: 8,
  exit: undefined,
  printCommands: false,
  placement: "auto",
  latency: 0,
  pcap: undefined,
  noRestart: false,
  logDir: ".",
  logLevel: "info",
  noPacketLog: false,
  json: false,
};
