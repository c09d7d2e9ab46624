import assert from "node:assert/strict";
import { CIRCUIT_LIMITS } from "../../src/circuit/origin/pool.ts";
import { PROTOCOL_VERSION, PROXY_MESSAGE, type TrafficSettings } from "../../src/control/messages.ts";
import type { ExitSettings } from "../../src/exit/registry.ts";
import { type Network, routerConfig } from "../../src/node/network.ts";
import type { CircuitPlan } from "../../src/node/proxy.ts";
import { trafficSettings } from "../../src/run/members.ts";
import { setUpRouter } from "../../src/run/router_setup.ts";
import { address } from "../support/packets.ts";

const ECHO: ExitSettings = { kind: "echo", block: { address: address("10.5.51.2"), prefix: 24 } };
const DIRECT: CircuitPlan = { kind: "direct", hops: 1, limits: CIRCUIT_LIMITS };

function networkOf(circuits: CircuitPlan): Network {
  const link = (port: number) => ({ address: address("127.0.0.1"), port });
  return {
    circuits,
    carries: ["icmp"],
    linkMtu: 65_535,
    tunMtu: 1500,
    proxy: link(40_000),
    routers: [1, 2, 3].map((number) => ({
      link: link(40_000 + number),
      address: address(`192.168.20${number}.2`),
    })),
  };
}

/** What a router makes of the settings once they have travelled. */
function setUp(number: number, settings: TrafficSettings) {
  const sent = PROXY_MESSAGE.encode({
    type: "settings",
    version: PROTOCOL_VERSION,
    logFile: "log",
    traffic: settings,
  });
  const message = PROXY_MESSAGE.decode(JSON.parse(JSON.stringify(sent)), "");
  assert.ok(message.type === "settings" && message.traffic !== undefined);
  return setUpRouter(number, 40_000 + number, message.traffic);
}

Deno.test("router setup: a router is set up as the network's plan wants it, whatever its circuits", () => {
  const built = { hops: 2, limits: CIRCUIT_LIMITS };
  const plans: CircuitPlan[] = [DIRECT, { kind: "plain", ...built }, { kind: "sealed", ...built }];
  for (const plan of plans) {
    const network = networkOf(plan);
    for (const number of [1, 2, 3]) {
      const settings = trafficSettings(network, number, ECHO, { logsPackets: false, latency: 5, cpu: 1 });
      const { node, thread } = setUp(number, settings);
      assert.deepEqual(node, routerConfig(network, number));
      assert.deepEqual(thread, { logs: "circuits", latency: 5, cpu: 1 });
    }
  }
});

Deno.test("router setup: captures name every member by its number and the port of its link", () => {
  const settings = trafficSettings(networkOf(DIRECT), 2, ECHO, {
    logsPackets: true,
    latency: 0,
    captures: "/tmp/captures",
  });
  const { directory, self, neighbours } = setUp(2, settings).thread.taps!;
  const member = (party: number) => ({ party, port: 40_000 + party });
  assert.deepEqual([directory, self, neighbours], ["/tmp/captures", member(2), [0, 1, 3].map(member)]);
});
