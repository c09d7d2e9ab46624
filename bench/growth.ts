/**
 * Growth: how round trip and packet rate change along an axis. A new axis is an entry of the table
 * below.
 *
 * @module
 */
import type { Contender } from "./contender.ts";
import type { Measured } from "./rounds.ts";
import { pairedRatios, type Rounds, summarize, type Summary } from "./stats.ts";
import { awaitFirstReply, type Instruments, lossless, onLoad, type Subject } from "./traffic.ts";

/** A point on the axes. */
interface Point {
  /** Payload bytes. */
  readonly size: number;
  /** Hosts that are pinged in turn. For a raw exit, each is a session. */
  readonly flows: number;
}

/** One axis, from its first point on. */
interface Axis {
  readonly title: string;
  /** A note for readers of its table. */
  readonly remark?: string;
  readonly points: readonly Point[];
  /** The name of a point in its table. */
  readonly label: (point: Point) => string;
}

const FIRST: Point = { size: 64, flows: 1 };

/** Every axis, in the order of the tables. */
export const AXES: readonly Axis[] = [
  {
    title: "hosts pinged in turn, 64 bytes",
    points: [1, 64, 1000].map((flows) => ({ ...FIRST, flows })),
    label: ({ flows }) => String(flows),
  },
  {
    title: "bytes of payload, one host",
    remark: "Payloads of over 1472 bytes travel in fragments, and C puts none together.",
    points: [64, 512, 1400, 4000, 16_000, 65_507].map((size) => ({ ...FIRST, size })),
    label: ({ size }) => String(size),
  },
];

/** What is measured at each point. */
export const GROWTH_MEASURES = [
  { key: "roundTrip", title: "round trip, back to back, µs", digits: 1 },
  { key: "rate", title: "without loss, packets/s", digits: 0 },
] as const;

/** A name in {@linkcode GROWTH_MEASURES}. */
type GrowthKey = (typeof GROWTH_MEASURES)[number]["key"];

/** The figures of one contender in one round, by {@linkcode keyOf} point. */
export type GrowthFigures = { readonly [point: string]: { readonly [Key in GrowthKey]?: number } };

/**
 * Max bytes in flight. More would overflow the queue of a TUN device, 500 packets, with fragments.
 */
const MOST_ON_THE_WAY = 256 * 1024;

/** Takes the figures of one contender at every point. */
export async function measureGrowth(
  contender: Contender,
  instruments: Instruments,
): Promise<GrowthFigures> {
  const way = contender.targets.packets;
  if (way === undefined) return {};
  const { longest = Infinity } = way;
  await using running = await contender.start(instruments.signal);
  const inside = { ...instruments, signal: AbortSignal.any([instruments.signal, running.ended]) };
  const { plan } = instruments;
  const subject: Subject = { contender, running, way };
  await awaitFirstReply(contender, way, inside.signal);
  await onLoad(subject, inside, { ...FIRST, warmup: 0, span: plan.settleSeconds, window: 1 });

  const figures: Record<string, { readonly [Key in GrowthKey]?: number }> = {};
  for (const axis of AXES) {
    for (const point of axis.points) {
      if (keyOf(point) in figures || point.size > longest) continue;
      const traffic = { ...point, warmup: plan.round.warmupSeconds, span: plan.growthSpanSeconds };
      const window = Math.max(1, Math.min(plan.window, Math.floor(MOST_ON_THE_WAY / point.size)));
      const trips = await onLoad(subject, inside, { ...traffic, window: 1 });
      const rate = await lossless(subject, inside, { ...traffic, window });
      figures[keyOf(point)] = {
        roundTrip: trips.roundTripMicroseconds!.midmean,
        ...(rate === undefined ? {} : { rate: rate.packetsPerSecond }),
      };
    }
  }
  return figures;
}

function keyOf({ size, flows }: Point): string {
  return `${size} bytes, ${flows} flows`;
}

/** One contender at one point. */
interface GrowthRow {
  readonly point: string;
  readonly contender: string;
  readonly figures: { readonly [Key in GrowthKey]?: GrowthFigure };
}

/** One of its figures. */
export interface GrowthFigure extends Summary {
  /** Ratio to the same contender at the first point of the axis. */
  readonly versusFirst?: Summary;
  /** Ratio to the floor of the same shape at the same point. */
  readonly versusFloor?: Summary;
}

/** The growth of all contenders along one axis. */
export interface GrowthReport {
  readonly title: string;
  readonly remark?: string;
  readonly rows: readonly GrowthRow[];
}

/** Makes the tables, one for each axis. */
export function reportGrowth(measured: readonly Measured<GrowthFigures>[]): GrowthReport[] {
  return AXES.map(({ title, remark, points, label }) => ({
    title,
    ...(remark === undefined ? {} : { remark }),
    rows: points.flatMap((point) =>
      measured.flatMap((entrant) => {
        const figures = reportPoint(point, points[0]!, entrant, measured);
        return Object.keys(figures).length === 0
          ? []
          : [{ point: label(point), contender: entrant.contender.name, figures }];
      })
    ),
  }));
}

function reportPoint(
  point: Point,
  first: Point,
  entrant: Measured<GrowthFigures>,
  all: readonly Measured<GrowthFigures>[],
): GrowthRow["figures"] {
  const { contender: { shape, floor: isFloor } } = entrant;
  const floor = all.find(({ contender }) => contender.floor && contender.shape === shape);
  const column = (of: Measured<GrowthFigures> | undefined, at: Point, key: GrowthKey): Rounds =>
    of?.rounds.map((figures) => figures[keyOf(at)]?.[key]) ?? [];
  return Object.fromEntries(GROWTH_MEASURES.flatMap(({ key }) => {
    const mine = column(entrant, point, key);
    const summary = summarize(mine);
    if (summary === undefined) return [];
    const versusFirst = summarize(pairedRatios(mine, column(entrant, first, key)));
    const versusFloor = isFloor ? undefined : summarize(pairedRatios(mine, column(floor, point, key)));
    return [[key, {
      ...summary,
      ...(versusFirst === undefined ? {} : { versusFirst }),
      ...(versusFloor === undefined ? {} : { versusFloor }),
    }]];
  }));
}
