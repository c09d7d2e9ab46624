/**
 * Both measured, and printed.
 *
 * @module
 */
import { run } from "../../command.ts";
import { load } from "../../load.ts";
import { Place } from "../../place.ts";
import { pairedRatios, quantile } from "../../stats.ts";
import { formatFigure, layOut } from "../../table.ts";
import type { CallFigure } from "./calls.ts";
import { type Served, SERVERS } from "./echo.ts";
import { ADDRESS, HOST, PROGRAM, SIZES } from "./ground.ts";

/** One server, one load. */
interface EchoFigure {
  readonly name: string;
  readonly size: number;
  readonly window: number;
  readonly calls: number;
  readonly cpu: number;
  readonly rate: number;
  readonly trip: number;
}

/** Packets on the way at once, and seconds of each load. */
const WINDOWS = [1, 64] as const;
const WARMUP = 0.3;
const SPAN = 0.6;

/** Measures one server under one load. A server answers one load only, so that its calls are that load's. */
async function measureEcho(
  loadProgram: string,
  name: string,
  size: number,
  window: number,
): Promise<EchoFigure> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", PROGRAM, "serve", name],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const said = child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  if ((await said.next()).value !== "ready\n") throw new Error(`${name} did not start`);
  const options = {
    ...{ target: HOST, flows: 1, size: size - 28, window, warmupSeconds: WARMUP, spanSeconds: SPAN },
    watch: [child.pid],
  };
  const result = await load(loadProgram, new Place(["env"]), options, AbortSignal.timeout(20_000));
  if (result.lost + result.damaged + result.duplicates > 0) throw new Error(`${name} answers wrongly`);
  const asker = Deno.listenDatagram({ transport: "udp", hostname: ADDRESS, port: 0 });
  await asker.send(Uint8Array.of(0), { transport: "udp", hostname: HOST, port: 9 });
  asker.close();
  const served: Served = JSON.parse((await said.next()).value!);
  await child.status;
  return {
    name,
    size,
    window,
    calls: served.calls / served.packets,
    cpu: result.watchedCpuSeconds / result.counted * 1e6,
    rate: result.packetsPerSecond,
    trip: result.roundTripMicroseconds?.midmean ?? NaN,
  };
}

/** Everything, in a namespace that leads nowhere. */
export async function measureAll(loadProgram: string, rounds: number): Promise<void> {
  await run(["ip", "link", "set", "lo", "up"]);
  const echoes: EchoFigure[][] = [];
  const calls: CallFigure[][] = [];
  for (let round = 0; round < rounds; round++) {
    console.error(`round ${round + 1} of ${rounds}`);
    const names = Object.keys(SERVERS);
    const inTurn = [...names.slice(round % names.length), ...names.slice(0, round % names.length)];
    const figures: EchoFigure[] = [];
    for (const size of SIZES) {
      for (const window of WINDOWS) {
        for (const name of inTurn) figures.push(await measureEcho(loadProgram, name, size, window));
      }
    }
    echoes.push(figures);
    calls.push(JSON.parse(await run([Deno.execPath(), "run", "-A", PROGRAM, "calls"])));
  }
  printEchoes(echoes);
  printCalls(calls);
}

function printEchoes(rounds: readonly (readonly EchoFigure[])[]): void {
  const rows = SIZES.flatMap((size) =>
    WINDOWS.flatMap((window) => {
      const column = (name: string, figure: keyof EchoFigure) =>
        rounds.map((round) =>
          round.find((f) => f.size === size && f.window === window && f.name === name)![figure] as number
        );
      const [today] = Object.keys(SERVERS) as [string];
      return Object.keys(SERVERS).map((name) => {
        const middle = (figure: keyof EchoFigure) => quantile(column(name, figure), 0.5);
        const ratio = (figure: keyof EchoFigure) =>
          quantile(pairedRatios(column(name, figure), column(today, figure)), 0.5).toFixed(2);
        return [
          `${size} bytes, ${window} on the way`,
          name,
          middle("calls").toFixed(2),
          middle("cpu").toFixed(2),
          ratio("cpu"),
          formatFigure(middle("rate"), 0),
          ratio("rate"),
          middle("trip").toFixed(1),
        ];
      });
    })
  );
  const head = [
    "echo",
    "way",
    "calls/packet",
    "CPU µs/packet",
    "ratio",
    "packets/s",
    "ratio",
    "round trip µs",
  ];
  console.log(layOut(head, rows, 2).join("\n") + "\n");
}

function printCalls(rounds: readonly (readonly CallFigure[])[]): void {
  const [first] = rounds as [CallFigure[]];
  const rows = first.map(({ what, name, size, count, calls }, index) => {
    const mine = rounds.map((round) => round[index]!.nanoseconds);
    const today = first.findIndex((f) => f.what === what && f.size === size && f.count === count);
    const ratios = pairedRatios(mine, rounds.map((round) => round[today]!.nanoseconds));
    return [
      `${what}, ${size} bytes`,
      `${count} at once`,
      name,
      calls.toFixed(2),
      (quantile(mine, 0.5) / 1000).toFixed(2),
      quantile(ratios, 0.5).toFixed(2),
    ];
  });
  const order = rows.toSorted((a, b) => a[0]! < b[0]! ? -1 : a[0]! > b[0]! ? 1 : 0);
  console.log(layOut(["calls", "", "way", "calls/packet", "CPU µs/packet", "ratio"], order, 3).join("\n"));
}
