import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkout } from "./support/programs.ts";

/** Which rooms each room may import (README.md § The house). */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  oci: [],
  ndn: [],
  blob: ["oci", "ndn"],
  server: ["blob", "ndn", "oci"],
  client: ["blob", "ndn", "oci"],
  cli: ["server", "client", "blob", "ndn", "oci", "test"],
};
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

const sources: Source[] = [...Object.keys(mayImport), ...free].flatMap((room) =>
  readdirSync(join(checkout, room), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => {
      const path = `${room}/${file}`;
      const text = readFileSync(join(checkout, path), "utf8");
      const imports = [...text.matchAll(specifier)].map((match) => match[1] ?? match[2] ?? match[3]!);
      return { room, path, text, imports };
    }),
);

function offenders(rule: (source: Source, imported: string) => boolean): string[] {
  return sources.flatMap((source) =>
    source.imports.filter((imported) => rule(source, imported)).map((imported) => `${source.path} imports ${imported}`),
  );
}

test("the imports of every room are seen", () => {
  for (const room of Object.keys(mayImport)) {
    expect(sources.some((source) => source.room === room && source.imports.length > 0)).toBe(true);
  }
});

describe("imports", () => {
  test("go one way only between rooms", () => {
    const bad = offenders(({ room }, imported) => {
      const target = /^#([^/]+)\//.exec(imported)?.[1];
      return target !== undefined && !free.includes(room) && !mayImport[room]!.includes(target);
    });
    expect(bad).toEqual([]);
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
