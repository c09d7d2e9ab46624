/**
 * The rooms and the directions of their imports, as in docs/architecture.md. An import of a type
 * counts, too.
 *
 * @module
 */
import assert from "node:assert/strict";

/**
 * What each room may import, from the rooms that know nothing to the program around them. A room
 * may contain rooms, one level deep, each with its own row. Enter a new room or a new arrow here
 * first.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  buffer: [],
  errors: [],
  json: ["errors"],
  ip: ["buffer", "json"],
  trace: ["buffer", "ip"],
  cell: ["buffer", "ip"],
  carry: ["buffer", "ip"],
  pcap: ["buffer", "errors", "ip"],

  crypto: ["buffer", "errors"],
  "crypto/provider": ["crypto", "errors", "sys"],
  circuit: ["buffer", "cell", "crypto", "ip", "trace"],
  "circuit/origin": ["buffer", "cell", "circuit", "crypto", "ip", "trace"],
  "circuit/relay": ["circuit", "crypto", "ip"],
  node: ["buffer", "carry", "cell", "circuit", "circuit/origin", "circuit/relay", "crypto", "ip", "trace"],

  sys: ["errors", "ip"],
  device: ["buffer", "ip", "sys"],
  // Around the devices: records what passes.
  "device/tap": ["buffer", "cell", "device", "exit/raw_icmp", "ip", "pcap", "sys", "trace"],
  runtime: [
    "buffer",
    "circuit",
    "circuit/origin",
    "crypto",
    "crypto/provider",
    "device",
    "device/tap",
    "exit",
    "ip",
    "node",
    "sys",
    "trace",
  ],
  sim: [
    "buffer",
    "circuit/origin",
    "crypto",
    "crypto/provider",
    "device",
    "exit/echo",
    "exit/raw_icmp",
    "ip",
    "node",
    "runtime",
    "trace",
  ],

  config: ["circuit", "errors", "ip"],
  // The settings of an exit, and a router's counters. Its channel uses the timers of sys.
  control: ["errors", "exit", "ip", "json", "sys", "trace"],
  "host/plan": ["config", "errors", "ip"],
  // A kind of exit: its core, settings, device, and host plan. The registry holds all kinds.
  "exit/echo": ["buffer", "config", "host/plan", "ip", "json", "node", "trace"],
  "exit/raw_icmp": ["buffer", "config", "exit/echo", "host/plan", "ip", "json", "node", "sys", "trace"],
  exit: ["config", "exit/echo", "exit/raw_icmp", "host/plan", "ip", "json", "node", "sys"],
  "host/apply": ["errors", "host/plan", "sys"],
  host: [
    "circuit",
    "config",
    "crypto",
    "crypto/provider",
    "errors",
    "exit",
    "host/apply",
    "host/plan",
    "ip",
    "sys",
  ],
  // A line for each event. A log file belongs to the user behind sudo, so sys sets its owner.
  log: ["cell", "config", "errors", "ip", "sys", "trace"],
  "run/launch": ["control", "crypto", "errors", "ip", "log", "sys", "trace"],
  // Joins everything below it into a run.
  run: [
    "circuit",
    "circuit/origin",
    "config",
    "control",
    "crypto",
    "crypto/provider",
    "errors",
    "exit",
    "host",
    "host/apply",
    "host/plan",
    "ip",
    "log",
    "node",
    "run/launch",
    "runtime",
    "sys",
    "trace",
  ],
  // A demo reads what a run recorded. The files that it keeps belong to the user behind sudo.
  lab: [
    "buffer",
    "cell",
    "circuit",
    "config",
    "device/tap",
    "errors",
    "host/apply",
    "host/plan",
    "ip",
    "pcap",
    "sys",
  ],
  cli: ["config", "errors", "host", "host/apply", "lab", "run", "sys"],
  main: ["cli", "errors", "run", "sys"],
  // The library: nothing of the program around the packet's way.
  mod: [
    "buffer",
    "cell",
    "circuit/origin",
    "crypto",
    "crypto/provider",
    "device",
    "errors",
    "exit/echo",
    "exit/raw_icmp",
    "ip",
    "sim",
    "trace",
  ],
};

/**
 * Packages from npm, and the rooms that may import them. Of Node's, only the stand-in for
 * libcrypto.
 */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "crypto/provider": ["node:crypto"],
  log: ["@logtape/logtape", "@logtape/pretty"],
};

/** Rooms without I/O, and the few files in them that are the door to the outside. */
const PURE: Readonly<Record<string, readonly string[]>> = {
  buffer: [],
  json: [],
  ip: [],
  carry: [],
  cell: [],
  pcap: [],
  trace: [],
  crypto: [],
  circuit: [],
  "circuit/origin": [],
  "circuit/relay": [],
  node: [],
  "exit/echo": [],
  exit: [],
  "exit/raw_icmp": ["device.ts"],
  device: ["linux_tun.ts", "open_tun.ts", "udp_link.ts"],
  "host/plan": [],
  control: ["channel.ts"],
};

/** What a pure file does not use, because it is given time, randomness and devices. */
const OUTSIDE = /\b(?:Deno|Date|performance|Math\.random|setTimeout|setInterval|console|fetch|globalThis)\b/;

/** Imports and re-exports, imports for their effect, and dynamic imports. */
const IMPORT = /^(?:import|export)\b[^;"]*\bfrom\s*"([^"]+)"|^import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;

const ROOT = new URL("../../", import.meta.url);

interface Source {
  /** The path from the root, e.g. `src/ip/ipv4.ts`. */
  readonly path: string;
  readonly room: string;
  /** Its name in its room, e.g. `ipv4.ts`. */
  readonly name: string;
  /** Its text without comments. */
  readonly code: string;
  /** What it imports, as written. */
  readonly specifiers: readonly string[];
}

function read(path: string): Source {
  const text = Deno.readTextFileSync(new URL(path, ROOT));
  // A comment starts a line or follows a blank; a URL in a string does neither.
  const code = text.replace(/^\s*\/\*[\s\S]*?\*\//gm, "").replace(/(^|\s)\/\/.*$/gm, "");
  const specifiers = [...code.matchAll(IMPORT)].map((groups) => groups.slice(1).find((name) => name)!);
  return { path, room: roomOfPath(path), name: path.split("/").at(-1)!, code, specifiers };
}

/** The room of a file: its folder below `src/`, or the file itself if it is in none. */
function roomOfPath(path: string): string {
  const inside = path.replace(/^src\//, "");
  const slash = inside.lastIndexOf("/");
  return slash < 0 ? inside.replace(/\.ts$/, "") : inside.slice(0, slash);
}

function* sources(): Generator<Source> {
  yield read("main.ts");
  yield read("mod.ts");
  yield* sourcesIn("src/", 0);
}

function* sourcesIn(folder: string, depth: number): Generator<Source> {
  assert.ok(depth <= 2, `${folder}: rooms are at most one level deep`);
  for (const { name, isFile } of Deno.readDirSync(new URL(folder, ROOT))) {
    if (isFile) yield read(folder + name);
    else yield* sourcesIn(`${folder}${name}/`, depth + 1);
  }
}

const SOURCES = [...sources()];

/** The path of the file that a relative specifier means; undefined for a package. */
function targetOf(source: Source, specifier: string): string | undefined {
  if (!specifier.startsWith(".") || specifier.endsWith(".json")) return undefined;
  return new URL(specifier, new URL(source.path, ROOT)).href.slice(ROOT.href.length);
}

/**
 * The room that a relative specifier leads to; undefined for the same room and outside of the
 * sources.
 */
function roomOf(source: Source, specifier: string): string | undefined {
  const target = targetOf(source, specifier);
  if (target === undefined) return undefined;
  const room = roomOfPath(target);
  return room === source.room ? undefined : room;
}

/** Fails with all complaints at once. */
function assertNone(complaints: readonly string[]): void {
  assert.ok(complaints.length === 0, `\n  ${complaints.join("\n  ")}\n`);
}

Deno.test("rooms: every room is in the table", () => {
  const rooms = new Set(SOURCES.map(({ room }) => room));
  assertNone(
    [...rooms].filter((room) => !(room in ROOMS)).map((room) =>
      `src/${room} is a new room: enter its imports in this test`
    ),
  );
});

Deno.test("rooms: import only what the table allows", () => {
  const complaints: string[] = [];
  for (const source of SOURCES) {
    for (const specifier of source.specifiers) {
      const room = roomOf(source, specifier);
      const allowed = ROOMS[source.room] ?? [];
      if (room === undefined || allowed.includes(room)) continue;
      complaints.push(
        `${source.path} imports "${specifier}", but ${source.room} may import only ${
          allowed.join(", ") || "nothing"
        }`,
      );
    }
  }
  assertNone(complaints);
});

Deno.test("rooms: no circles between rooms, in the table and in the source", () => {
  const drawn = Object.entries(ROOMS).flatMap(([from, rooms]) => rooms.map((to) => ({ from, to, by: "" })));
  const built = SOURCES.flatMap((source) =>
    source.specifiers.flatMap((specifier) => {
      const to = roomOf(source, specifier);
      return to === undefined ? [] : [{ from: source.room, to, by: ` (${source.path})` }];
    })
  );
  for (const arrows of [drawn, built]) {
    const done = new Set<string>();
    const visit = (room: string, way: readonly { readonly room: string; readonly by: string }[]): void => {
      const seen = way.findIndex((step) => step.room === room);
      if (seen >= 0) {
        const circle = way.slice(seen).map((step) => `${step.room}${step.by} → `).join("");
        assert.fail(`rooms import each other in a circle: ${circle}${room}`);
      }
      if (done.has(room)) return;
      for (const { from, to, by } of arrows) if (from === room) visit(to, [...way, { room, by }]);
      done.add(room);
    };
    for (const { from } of arrows) visit(from, []);
  }
});

Deno.test("rooms: no circles between files", () => {
  const files = new Map(SOURCES.map((source) => [source.path, source]));
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) {
      assert.fail(
        `files import each other in a circle: ${[...way.slice(way.indexOf(path)), path].join(" → ")}`,
      );
    }
    const source = files.get(path);
    if (source === undefined || done.has(path)) return;
    for (const specifier of source.specifiers) {
      const target = targetOf(source, specifier);
      if (target !== undefined) visit(target, [...way, path]);
    }
    done.add(path);
  };
  for (const path of files.keys()) visit(path, []);
});

Deno.test("rooms: packages are imported only where expected", () => {
  const complaints: string[] = [];
  for (const { path, room, specifiers } of SOURCES) {
    for (const specifier of specifiers) {
      if (specifier.startsWith(".")) continue;
      const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
      if (PACKAGES[room]?.includes(name)) continue;
      complaints.push(`${path} imports "${specifier}", but ${room} may import no such package`);
    }
  }
  assertNone(complaints);
});

Deno.test("rooms: no module has a computed name", () => {
  // Otherwise neither this test, the bundler nor `deno compile` could see it.
  assertNone(
    SOURCES.filter(({ code }) => /\bimport\s*\((?!\s*")/.test(code)).map(({ path }) =>
      `${path} imports a module whose name is computed`
    ),
  );
});

Deno.test("rooms: FFI stays in src/sys", () => {
  const everywhere = ["scripts", "bench"].flatMap((folder) =>
    [...Deno.readDirSync(new URL(`${folder}/`, ROOT))]
      .filter(({ name, isFile }) => isFile && name.endsWith(".ts"))
      .map(({ name }) => read(`${folder}/${name}`))
  );
  assertNone(
    [...SOURCES, ...everywhere]
      .filter(({ path, code }) => !path.startsWith("src/sys/") && /\bDeno\.(?:dlopen|Unsafe)/.test(code))
      .map(({ path }) => `${path} calls foreign functions, which only src/sys may`),
  );
});

Deno.test("rooms: pure rooms use no clock, randomness or system", () => {
  const complaints: string[] = [];
  for (const { path, room, name, code, specifiers } of SOURCES) {
    const doors = PURE[room];
    if (doors === undefined || doors.includes(name)) continue;
    const line = code.split("\n").find((line) => OUTSIDE.test(line));
    if (line !== undefined) complaints.push(`${path} is pure, but has: ${line.trim()}`);
    const forbidden = specifiers.find((specifier) =>
      /^(?:\.\.\/)+(?:sys|host(?!\/plan)|run)\//.test(specifier)
    );
    // A type of sys is allowed, because nothing of it runs here.
    if (forbidden !== undefined && !new RegExp(`import type [^;]*"${forbidden}"`).test(code)) {
      complaints.push(`${path} is pure, but imports "${forbidden}"`);
    }
  }
  assertNone(complaints);
});

Deno.test("rooms: every door in the table exists", () => {
  const paths = new Set(SOURCES.map(({ path }) => path));
  const doors = Object.entries(PURE).flatMap(([room, names]) => names.map((name) => `src/${room}/${name}`));
  assertNone(doors.filter((door) => !paths.has(door)).map((door) => `${door} is no file`));
});

Deno.test("rooms: mod.ts only re-exports", () => {
  const { code } = SOURCES.find(({ path }) => path === "mod.ts")!;
  const rest = code.replace(/export (?:type )?\{[^}]*\} from "[^"]+";/g, "").trim();
  assert.equal(rest, "");
});
