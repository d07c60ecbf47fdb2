import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkout } from "./support/programs.ts";

/** Floors of the house, from the ground up (docs/architecture.md): imports go down only. */
const floors: readonly (readonly string[])[] = [
  ["base"],
  ["oci", "ndn"],
  ["blob"],
  ["store", "fetch", "uplinks", "publish", "delta"],
  ["server", "client"],
  ["cli"],
];
/** Besides, within a floor. */
const besides = new Map([
  ["fetch", ["store"]],
  ["publish", ["delta"]],
]);
/** The rooms inside `client/`, from the ground up; files directly in it are the roof. */
const clientFloors: readonly (readonly string[])[] = [
  ["http"],
  ["registries", "status"],
  ["rights"],
  ["upstream"],
  ["blobs", "manifests", "pointers", "listener"],
];
/** Rooms that may import anything. */
const free = ["test", "bench"];

interface Source {
  readonly room: string;
  readonly path: string;
  readonly text: string;
  /** What its import and export statements, and dynamic imports, name. */
  readonly imports: readonly string[];
}

const specifier =
  /(?:^|\n)\s*(?:import|export)\b[^;'"]*?\bfrom\s*["']([^"']+)["']|(?:^|\n)\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/g;

const sources: Source[] = [...floors.flat(), ...free].flatMap((room) =>
  readdirSync(join(checkout, room), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => {
      const path = `${room}/${file}`;
      const text = readFileSync(join(checkout, path), "utf8");
      const imports = [...text.matchAll(specifier)].map((match) => match[1] ?? match[2] ?? match[3]!);
      return { room, path, text, imports };
    }),
);

/** Whether an import across rooms goes to a room that is not below. */
function goesUp({ room }: Pick<Source, "room" | "path">, imported: string): boolean {
  const target = /^#([^/]+)\//.exec(imported)?.[1];
  if (target === undefined || free.includes(room) || besides.get(room)?.includes(target)) return false;
  return !(floorOf(floors, target) < floorOf(floors, room));
}

/** The same inside `client/`. */
function goesUpInClient({ room, path }: Pick<Source, "room" | "path">, imported: string): boolean {
  if (room !== "client" || !imported.startsWith(".")) return false;
  const [from, to] = [path, join(path, "..", imported)].map((file) => /^client\/(?:([^/]+)\/)?/.exec(file)?.[1]);
  return from !== to && !(floorOf(clientFloors, to) < floorOf(clientFloors, from));
}

/** A room that is on no floor is above all of them. */
function floorOf(all: readonly (readonly string[])[], room: string | undefined): number {
  const floor = all.findIndex((rooms) => rooms.includes(room ?? ""));
  return floor < 0 ? all.length : floor;
}

function offenders(rule: (source: Source, imported: string) => boolean): string[] {
  return sources.flatMap((source) =>
    source.imports.filter((imported) => rule(source, imported)).map((imported) => `${source.path} imports ${imported}`),
  );
}

test("the imports of every room are seen", () => {
  for (const room of floors.flat()) {
    expect(sources.some((source) => source.room === room && source.imports.length > 0)).toBe(true);
  }
});

describe("imports", () => {
  test("go down only between rooms", () => {
    expect(offenders(goesUp)).toEqual([]);
  });

  test("go down only between the rooms of client/", () => {
    expect(offenders(goesUpInClient)).toEqual([]);
  });

  test.each([
    ["base/a.ts", "#oci/b.ts"],
    ["ndn/a.ts", "#oci/b.ts"],
    ["oci/a.ts", "#ndn/b.ts"],
    ["blob/a.ts", "#store/b.ts"],
    ["store/a.ts", "#fetch/b.ts"],
    ["uplinks/a.ts", "#fetch/b.ts"],
    ["delta/a.ts", "#publish/b.ts"],
    ["publish/a.ts", "#server/b.ts"],
    ["server/a.ts", "#client/b.ts"],
    ["client/a.ts", "#server/b.ts"],
    ["client/a.ts", "#cli/b.ts"],
    ["cli/a.ts", "#test/b.ts"],
  ])("of %s that would name %s are found", (path, imported) => {
    expect(goesUp({ room: path.split("/")[0]!, path }, imported)).toBe(true);
  });

  test.each([
    ["client/http/a.ts", "../blobs/b.ts"],
    ["client/http/a.ts", "../app.ts"],
    ["client/status/a.ts", "../manifests/b.ts"],
    ["client/blobs/a.ts", "../manifests/b.ts"],
    ["client/blobs/a.ts", "../client.ts"],
  ])("of %s that would name %s are found in client/", (path, imported) => {
    expect(goesUpInClient({ room: "client", path }, imported)).toBe(true);
  });

  test("within a room are relative, across rooms by the room's name, and name the file", () => {
    const bad = offenders(({ room, path }, imported) => {
      if (imported.startsWith(`#${room}/`)) return !free.includes(room);
      if (/^[.#]/.test(imported) && !/\.(ts|json)$/.test(imported)) return true;
      return imported.startsWith(".") && !join(path, "..", imported).startsWith(`${room}/`);
    });
    expect(bad).toEqual([]);
  });

  test("of @ndn/* are in ndn/ only", () => {
    expect(
      offenders(({ room }, imported) => imported.startsWith("@ndn/") && room !== "ndn" && !free.includes(room)),
    ).toEqual([]);
  });

  test("of the system are written with node:", () => {
    const bare =
      /^(assert|buffer|child_process|crypto|dgram|events|fs|http|https|net|os|path|stream|timers|url|util|zlib)(\/|$)/;
    expect(offenders((_, imported) => bare.test(imported))).toEqual([]);
  });
});

test("there are no barrels", () => {
  const barrels = sources.filter(({ text }) => /^export \*/m.test(text)).map(({ path }) => path);
  expect(barrels).toEqual([]);
});

test("there are no default exports", () => {
  expect(sources.filter(({ text }) => /^export default\b/m.test(text)).map(({ path }) => path)).toEqual([]);
});
