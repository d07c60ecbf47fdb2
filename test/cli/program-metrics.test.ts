import { expect, test } from "vitest";
import { programMetrics } from "#cli/program-metrics.ts";
import { exposeAll, produced, typesOf } from "#test/client/status/exposed.ts";
import { parseMetrics } from "#test/support/metrics.ts";

test("what only grows is a counter, by its name and its type, and process and Node are there", async () => {
  const registry = programMetrics();
  exposeAll(registry);
  const types = await typesOf(registry);
  const own = types.filter(({ name }) => name.startsWith("ndn_registry_"));
  expect(own.length).toBeGreaterThan(30);
  expect(own.filter(({ name, type }) => name.endsWith("_total") !== (type === "counter"))).toEqual([]);
  const names = types.map(({ name }) => name);
  for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "nodejs_heap_size_used_bytes"])
    expect(names).toContain(name);
});

test("a counter that is read when scraped has the value of then", async () => {
  const registry = programMetrics();
  exposeAll(registry);
  const interests = async () => parseMetrics(await registry.metrics()).get("ndn_registry_server_interests_total");
  const before = produced.interests;
  expect(await interests()).toBe(before);
  produced.interests += 7;
  expect(await interests()).toBe(before + 7);
  const samples = parseMetrics(await registry.metrics());
  expect(samples.get('ndn_registry_uplink_nacks_total{uplink="tcp://router.example"}')).toBe(0);
});
