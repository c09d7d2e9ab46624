/**
 * wireguard-go with one hop: a tunnel in user space, as ours, but encrypted, and with the kernel's
 * echo reply at its far end.
 *
 * ```
 *   near: kernel ── TUN ── wireguard-go ── UDP, veth ── wireguard-go ── TUN ── kernel :far
 * ```
 *
 * At its best: it fragments no packet that others carry whole, and does not log packets.
 *
 * @module
 */
import type { Contender } from "../contender.ts";
import { Daemon } from "../daemon.ts";
import { Enclave } from "../enclave.ts";
import type { Place } from "../place.ts";

/** One end of the tunnel. */
interface End {
  readonly place: Place;
  /** The TUN device, and with it the socket under /run that `wg` uses. */
  readonly device: string;
  readonly inner: string;
  readonly outer: string;
  readonly keys: Keys;
}

/** As WireGuard writes them, in base64. */
interface Keys {
  readonly secret: string;
  readonly open: string;
}

const PORT = 51820;

/**
 * Bytes of a packet of 1500, rounded up: IPv4 20, UDP 8, header and tag of WireGuard 32, padding to
 * 16.
 */
const Mtu = { inner: 1500, outer: 1600 } as const;

/** Makes both ends; `stack` removes them. */
export async function makeWireguard(name: string, stack: AsyncDisposableStack): Promise<Contender> {
  const enclave = stack.use(await Enclave.make());
  await Deno.mkdir(enclave.path("/run/wireguard"), { mode: 0o700 });
  const near = await makeEnd(enclave, "near", 1);
  const far = await makeEnd(enclave, "far", 2);
  await enclave.run(
    ["ip", "link", "add", "veth0", "netns", "near", "type", "veth", "peer", "name", "veth0", "netns", "far"],
  );
  for (const { place, outer } of [near, far]) {
    await place.run(["ip", "address", "add", `${outer}/24`, "dev", "veth0"]);
    await place.run(["ip", "link", "set", "veth0", "mtu", String(Mtu.outer), "up"]);
  }
  await Deno.writeTextFile(enclave.path("/run/near.conf"), configOf(near, far));
  await Deno.writeTextFile(enclave.path("/run/far.conf"), configOf(far, near));
  return {
    name,
    shape: "peer",
    floor: false,
    kernel: "veth",
    mayFail: true,
    place: near.place,
    targets: {
      packets: { address: far.inner, device: near.device },
      streams: { server: far.place, address: far.inner },
    },
    async start(signal) {
      await using made = new AsyncDisposableStack();
      const since = performance.now();
      const daemons: Daemon[] = [];
      for (const [label, { place, device, inner }] of [["near", near], ["far", far]] as const) {
        const { daemon } = await Daemon.start(place, name, ["wireguard-go", device], {
          signal,
          env: { WG_PROCESS_FOREGROUND: "1", LOG_LEVEL: "verbose" },
          ready: /UAPI listener started/,
        });
        daemons.push(made.use(daemon));
        await place.run(["wg", "setconf", device, `/run/${label}.conf`], { signal });
        await place.run(["ip", "address", "add", `${inner}/24`, "dev", device], { signal });
        await place.run(["ip", "link", "set", device, "mtu", String(Mtu.inner), "up"], { signal });
      }
      const startMs = performance.now() - since;
      const pids = daemons.map(({ pid }) => pid);
      const owned = made.move();
      return {
        startMs,
        ended: AbortSignal.any(daemons.map(({ ended }) => ended)),
        pids: () => Promise.resolve(pids),
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  };
}

async function makeEnd(enclave: Enclave, label: string, host: number): Promise<End> {
  return {
    place: await enclave.makeNetns(label),
    device: `wg${label}`,
    inner: `10.5.54.${host}`,
    outer: `10.5.53.${host}`,
    keys: await makeKeys(),
  };
}

/** The file that `wg setconf` reads. */
function configOf(mine: End, theirs: End): string {
  return [
    "[Interface]",
    `PrivateKey = ${mine.keys.secret}`,
    `ListenPort = ${PORT}`,
    "[Peer]",
    `PublicKey = ${theirs.keys.open}`,
    `Endpoint = ${theirs.outer}:${PORT}`,
    "AllowedIPs = 0.0.0.0/0",
    "",
  ].join("\n");
}

async function makeKeys(): Promise<Keys> {
  const pair = await crypto.subtle.generateKey({ name: "X25519" }, true, ["deriveBits"]) as CryptoKeyPair;
  const { d, x } = await crypto.subtle.exportKey("jwk", pair.privateKey);
  return { secret: toBase64(d!), open: toBase64(x!) };
}

function toBase64(text: string): string {
  return Uint8Array.fromBase64(text, { alphabet: "base64url" }).toBase64();
}
