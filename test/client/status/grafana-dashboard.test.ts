import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { checkout } from "#test/support/programs.ts";
import { exposeAll, typesOf } from "./exposed.ts";

interface Panel {
  id: number;
  type: string;
  title: string;
  datasource?: { uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; datasource: { uid: string } }[];
}

interface Dashboard {
  schemaVersion: number;
  panels: Panel[];
  templating: { list: { name: string; type: string; query: unknown }[] };
}

const dashboard = JSON.parse(readFileSync(join(checkout, "docs/grafana-dashboard.json"), "utf8")) as Dashboard;
const panels = dashboard.panels.filter(({ type }) => type !== "row");

/** Names of all samples that client and server could show. */
async function exposedNames(): Promise<Set<string>> {
  const registry = new Registry();
  exposeAll(registry);
  const types = await typesOf(registry);
  return new Set(
    types.flatMap(({ name, type }) =>
      type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
}

test("every metric that the dashboard shows exists", async () => {
  const names = await exposedNames();
  const asked = new Set(JSON.stringify(dashboard).match(/\bndn_registry_\w+/g));
  expect([...asked].filter((name) => !names.has(name))).toEqual([]);
  for (const name of names) if (/_bucket$|blob_bytes|evictions|rate_limit/.test(name)) expect(asked).toContain(name);
});

test("it can be imported anywhere: the data source is chosen, not fixed", () => {
  expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(36);
  expect(dashboard.templating.list).toContainEqual(expect.objectContaining({ name: "datasource", type: "datasource" }));
  const sources = panels.flatMap(({ datasource, targets }) => [datasource, ...targets!.map((t) => t.datasource)]);
  expect(sources.filter((source) => !/^\$\{datasource\}$/.test(source?.uid ?? ""))).toEqual([]);
  expect(JSON.stringify(dashboard)).not.toMatch(/https?:/);
});

test("no panel lies on another, and every one asks something", () => {
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  const taken = new Map<string, string>();
  for (const { title, gridPos, targets } of panels) {
    expect([title, targets!.length > 0]).toEqual([title, true]);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect([title, x < 24, taken.get(`${x},${y}`)]).toEqual([title, true, undefined]);
        taken.set(`${x},${y}`, title);
      }
  }
});
