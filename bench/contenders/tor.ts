/**
 * Tor with a private network: three relays, which are also the directory authorities, and a client.
 * Every circuit passes all three, so no process is idle.
 *
 * ```
 *   stream ── SOCKS ── client ── TLS ── relay ── TLS ── relay ── TLS ── relay ── stream server
 * ```
 *
 * Everything is on the loopback of one enclave, as our routers are on that of one host. Tor carries
 * streams, so only the figures of streams apply.
 *
 * @module
 */
import type { Contender } from "../contender.ts";
import { Daemon } from "../daemon.ts";
import { Enclave } from "../enclave.ts";

/** The settings of Tor. */
interface Tuning {
  /** Lines for every torrc. */
  readonly torrc: readonly string[];
  /** A shell script for the enclave, run once. */
  readonly host: string;
}

/** The defaults of Tor and of the machine. */
export const AS_SHIPPED: Tuning = { torrc: [], host: "" };

/**
 * The fastest settings: no timer between cells, a congestion control without pacing, and no delayed
 * acknowledgements on four connections in a row. Set by route, because a namespace may not choose
 * every congestion control.
 */
export const TUNED: Tuning = {
  torrc: ["Schedulers Vanilla"],
  host: `
    for block in 127.0.0.0/8 127.0.0.1; do
      ip route change local $block dev lo table local src 127.0.0.1 quickack 1 congctl cubic
    done
  `,
};

const RELAYS = [1, 2, 3] as const;

const Port = { socks: 9050, onion: 5000, directory: 7100 } as const;

/** Directory of all its files, in the enclave. */
const HOME = "/run/tor";

/**
 * Max time in ms for the network to come up. The first start has to vote, for some ten seconds, and
 * again if a relay was too late. Later starts use the cache.
 */
const BOOTSTRAP_WITHIN = 90_000;

/** Seconds between the first votes, between later ones, and for each step of a vote. */
const VOTING = { first: 5, later: 20, delay: 2 } as const;

/** Makes the files of the network in an enclave, which `stack` removes. */
export async function makeTor(
  name: string,
  tuning: Tuning,
  stack: AsyncDisposableStack,
): Promise<Contender> {
  const enclave = stack.use(await Enclave.make());
  await enclave.run(["sh", "-euc", tuning.host]);
  const authorities = await Promise.all(RELAYS.map((relay) => makeAuthority(enclave, relay)));
  const common = [
    "TestingTorNetwork 1",
    "AssumeReachable 1",
    "Log notice stdout",
    // It needs more relays than there are, and would be tried every second.
    "ConfluxEnabled 0",
    ...authorities,
    ...tuning.torrc,
  ];
  for (const relay of RELAYS) await writeTorrc(enclave, `relay${relay}`, [...common, ...relayTorrc(relay)]);
  await Deno.mkdir(enclave.path(`${HOME}/client`), { mode: 0o700 });
  await writeTorrc(enclave, "client", [...common, `SocksPort 127.0.0.1:${Port.socks}`]);
  return {
    name,
    shape: "peer",
    floor: false,
    kernel: "veth",
    mayFail: true,
    place: enclave,
    targets: { streams: { server: enclave, address: "127.0.0.1", socks: Port.socks } },
    async start(signal) {
      await using made = new AsyncDisposableStack();
      const since = performance.now();
      const daemons: Daemon[] = [];
      const start = async (party: string, ready: RegExp) => {
        const { daemon } = await Daemon.start(enclave, `${name}'s ${party}`, [
          "tor",
          ...["-f", `${HOME}/${party}/torrc`],
        ], { signal, ready, within: BOOTSTRAP_WITHIN });
        daemons.push(made.use(daemon));
      };
      for (const relay of RELAYS) await start(`relay${relay}`, /Opened OR listener/);
      await start("client", /Bootstrapped 100%/);
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

/**
 * Makes the keys of a relay that is also an authority. Returns the line by which all others know
 * it.
 */
async function makeAuthority(enclave: Enclave, relay: number): Promise<string> {
  const home = `${HOME}/relay${relay}`;
  const keys = `${home}/keys`;
  await Deno.mkdir(enclave.path(keys), { recursive: true, mode: 0o700 });
  const [onion, directory] = [Port.onion + relay, Port.directory + relay];
  await enclave.run([
    ...["sh", "-euc", 'echo bench | "$@"', "sh"],
    ...["tor-gencert", "--create-identity-key", "--passphrase-fd", "0", "-m", "12"],
    ...["-i", `${keys}/authority_identity_key`, "-s", `${keys}/authority_signing_key`],
    ...["-c", `${keys}/authority_certificate`, "-a", `127.0.0.1:${directory}`],
  ]);
  const certificate = await Deno.readTextFile(enclave.path(`${keys}/authority_certificate`));
  const said = await enclave.run([
    ...["tor", "--list-fingerprint", "--quiet", "--ignore-missing-torrc", "-f", `${home}/torrc`],
    ...["--DataDirectory", home, "--Nickname", `relay${relay}`, "--ORPort", String(onion)],
  ]);
  const v3ident = /^fingerprint ([0-9A-F]{40})$/m.exec(certificate)?.[1];
  const fingerprint = /^relay\d ([0-9A-F ]+)$/m.exec(said)?.[1]?.replaceAll(" ", "");
  if (v3ident === undefined || fingerprint === undefined) throw new Error("tor made no keys");
  return `DirAuthority relay${relay} orport=${onion} no-v2 v3ident=${v3ident} 127.0.0.1:${directory} ${fingerprint}`;
}

function relayTorrc(relay: number): string[] {
  return [
    `Nickname relay${relay}`,
    "Address 127.0.0.1",
    "ContactInfo none@example.net",
    `ORPort 127.0.0.1:${Port.onion + relay}`,
    `DirPort 127.0.0.1:${Port.directory + relay}`,
    "SocksPort 0",
    "AuthoritativeDirectory 1",
    "V3AuthoritativeDirectory 1",
    "ExitRelay 1",
    "ExitPolicy accept *:*",
    "ExitPolicyRejectPrivate 0",
    // Lets each relay take each place in a circuit.
    "TestingDirAuthVoteExit *",
    "TestingDirAuthVoteGuard *",
    `TestingV3AuthInitialVotingInterval ${VOTING.first}`,
    `TestingV3AuthInitialVoteDelay ${VOTING.delay}`,
    `TestingV3AuthInitialDistDelay ${VOTING.delay}`,
    `V3AuthVotingInterval ${VOTING.later}`,
    `V3AuthVoteDelay ${VOTING.delay}`,
    `V3AuthDistDelay ${VOTING.delay}`,
  ];
}

async function writeTorrc(enclave: Enclave, party: string, lines: readonly string[]): Promise<void> {
  const home = `${HOME}/${party}`;
  await Deno.writeTextFile(enclave.path(`${home}/torrc`), [`DataDirectory ${home}`, ...lines, ""].join("\n"));
}
