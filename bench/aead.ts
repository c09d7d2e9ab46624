/**
 * `deno run -A bench/aead.ts` measures the cost of a layer against libcrypto called from C. Needs
 * `cc` and libcrypto, no root.
 *
 * Both do the same with the same packets, by turns: seal a batch, then open it, in place. Ours also
 * has the counter, the replay window and the checks.
 *
 * @module
 */
import { PacketBuffer } from "../src/buffer/packet_buffer.ts";
import { findProvider } from "../src/crypto/provider/choose.ts";
import { Layer, LAYER_OVERHEAD } from "../src/crypto/layer.ts";
import { type CryptoProvider, KEY, TAG } from "../src/crypto/provider.ts";
import { ExitCode, OperatorError } from "../src/errors.ts";
import { pattern } from "../tests/support/packets.ts";
import { buildProgram } from "./build.ts";
import { run } from "./command.ts";
import { rotated } from "./rounds.ts";
import { pairedRatios, quantile, summarize, type Summary } from "./stats.ts";
import { formatFigure, formatSpread, layOut } from "./table.ts";

const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** Packet sizes in bytes. */
const SIZES = [64, 1400, 16_000] as const;

const ROUNDS = 11;

/** Seconds of one measurement. */
const SPAN = 0.15;

/** Seconds of warm-up, while code is compiled. */
const WARM_UP = 0.5;

/** Packets of a batch, as in floor/aead.c. They fit into the fastest cache. */
const BATCH = 16;

/** The cell type, as in floor/aead.c. */
const TYPE = 0x61;

/** Max ratio at 1400 bytes. */
const GOAL = { size: 1400, atMost: 1.3 } as const;

/** Nanoseconds of one operation, and the tag of the first packet. */
interface Figures {
  readonly seal: number;
  readonly open: number;
  readonly tag: string;
}

/** The result of one round for one size. */
interface Round {
  readonly c: Figures;
  readonly ours: Figures;
}

/** Seals and peels packets of `size` bytes for some seconds. */
function measureOurs(provider: CryptoProvider, size: number, seconds: number): Figures {
  const [key, other] = [pattern(KEY), pattern(KEY, 1)];
  using near = new Layer(provider, { send: key, receive: other });
  using far = new Layer(provider, { send: other, receive: key });
  const packet = pattern(size);
  const buffers = Array.from({ length: BATCH }, () => {
    const buffer = new PacketBuffer();
    buffer.load(packet);
    return buffer;
  });

  let tag: string | undefined;
  const [sealing, opening]: [number[], number[]] = [[], []];
  const start = performance.now();
  while (performance.now() - start < seconds * 1000) {
    const before = performance.now();
    for (const buffer of buffers) near.seal(buffer, TYPE);
    sealing.push(performance.now() - before);
    tag ??= buffers[0]!.copy().subarray(-TAG).toHex();
    const between = performance.now();
    for (const buffer of buffers) {
      if (far.peel(buffer, TYPE) !== undefined) throw new Error("a valid cell was refused");
    }
    opening.push(performance.now() - between);
  }
  if (buffers.some((buffer) => buffer.copy().toHex() !== packet.toHex())) {
    throw new Error("a packet was changed on its way");
  }
  // The median batch counts, because a busy machine interrupts some of them.
  const nanoseconds = (batches: readonly number[]) => quantile(batches, 0.5) * 1e6 / BATCH;
  return { seal: nanoseconds(sealing), open: nanoseconds(opening), tag: tag ?? "" };
}

async function measureC(program: string, size: number): Promise<Figures> {
  return JSON.parse(await run([program, `${size}`, `${SPAN}`]));
}

/** Takes all figures: the rounds of each size. */
async function measure(program: string, provider: CryptoProvider): Promise<Map<number, Round[]>> {
  const rounds = new Map<number, Round[]>(SIZES.map((size) => [size, []]));
  for (const size of SIZES) measureOurs(provider, size, WARM_UP);
  for (let number = 0; number < ROUNDS; number++) {
    console.error(`round ${number + 1} of ${ROUNDS}`);
    for (const size of rotated(SIZES, number)) {
      const ours = () => measureOurs(provider, size, SPAN);
      // They take turns in being first.
      const early = number % 2 === 0 ? ours() : undefined;
      const c = await measureC(program, size);
      const round = { c, ours: early ?? ours() };
      if (c.tag !== round.ours.tag) throw new Error(`at ${size} bytes C and onion seal differently`);
      rounds.get(size)!.push(round);
    }
  }
  return rounds;
}

/** A line of the table. */
interface Row {
  readonly size: number;
  readonly operation: string;
  readonly c: Summary;
  readonly ours: Summary;
  readonly ratio: Summary;
}

function rowsOf(rounds: Map<number, Round[]>): Row[] {
  const operations: [operation: string, of: (figures: Figures) => number][] = [
    ["seal", ({ seal }) => seal],
    ["peel", ({ open }) => open],
    ["both", ({ seal, open }) => seal + open],
  ];
  return [...rounds].flatMap(([size, taken]) =>
    operations.map(([operation, of]) => {
      const [c, ours] = [taken.map((round) => of(round.c)), taken.map((round) => of(round.ours))];
      return {
        size,
        operation,
        c: summarize(c)!,
        ours: summarize(ours)!,
        ratio: summarize(pairedRatios(ours, c))!,
      };
    })
  );
}

function render(rows: readonly Row[], provider: CryptoProvider): string {
  const table = layOut(
    ["operation", "bytes", "C, ns", "onion, ns", "onion / C", "min–max"],
    rows.map(({ operation, size, c, ours, ratio }) => [
      operation,
      `${size}`,
      formatFigure(c.median, 0),
      formatFigure(ours.median, 0),
      ratio.median.toFixed(2),
      formatSpread(ratio, 2),
    ]),
    1,
  );
  const { ratio } = rows.find(({ operation, size }) => operation === "both" && size === GOAL.size)!;
  const holds = ratio.median <= GOAL.atMost ? "holds" : "does not hold";
  return [
    `${provider.name} ${provider.version}, Deno ${Deno.version.deno}, ${ROUNDS} rounds; ` +
    `a layer adds ${LAYER_OVERHEAD} bytes`,
    "",
    ...table,
    "",
    `at ${GOAL.size} bytes at most ${GOAL.atMost} times C: ${ratio.median.toFixed(2)}, ${holds}`,
  ].join("\n");
}

async function main(): Promise<ExitCode> {
  try {
    const provider = await findProvider(["libcrypto"]);
    // Links the library itself, because the link for `-lcrypto` comes with the headers.
    const program = await buildProgram(ROOT, "aead", new AbortController().signal, [":libcrypto.so.3"]);
    console.log(render(rowsOf(await measure(program, provider)), provider));
    return ExitCode.ok;
  } catch (error) {
    const remedy = error instanceof OperatorError ? `; ${error.remedy}` : "";
    console.error(`bench: ${error instanceof Error ? error.message : error}${remedy}`);
    return error instanceof OperatorError ? error.exitCode : ExitCode.failed;
  }
}

Deno.exitCode = await main();
