/** Whether a program has grown: memory after a garbage collection, descriptors, active resources. */
import { expect } from "vitest";
import { until } from "#test/support/until.ts";
import { descriptorsOf } from "./probe.ts";
import { getText, type Rig } from "./rig.ts";
import { type Scene, streamedBytes } from "./scene.ts";
import { printTable } from "./table.ts";

/** Memory that a program may have more at the end than after the warm-up, for fragmentation and late compilation. */
export const allowedGrowthBytes = 30 * 1024 * 1024;

/** What is compared. */
export interface Size {
  readonly rssBytes: number;
  readonly usedBytes: number;
  readonly descriptors: number;
  readonly resources: number;
}

/** Look at one program of a rig. */
export async function sizeOf(rig: Rig, program: "client" | "server"): Promise<Size> {
  rig.registry.closeIdleConnections();
  rig.upstream.closeIdleConnections();
  const { rssBytes, usedBytes, resources } = await rig.probe(program);
  const { length: descriptors } = await descriptorsOf(rig[program].process.pid);
  return { rssBytes, usedBytes, descriptors, resources: Object.values(resources).reduce((sum, n) => sum + n, 0) };
}

/** Fill the caches and let the heaps take the size that traffic gives them. */
export async function warmUp(rig: Rig, scene: Scene): Promise<void> {
  await rig.untilNdnServes(() => scene.freshBlob(1_000_000));
  for (let round = 0; round < 3; round++) {
    await Promise.all(Array.from({ length: 4 }, () => scene.pull(scene.freshBlob(streamedBytes))));
    scene.forget();
  }
}

/**
 * Print what it cached before and what it holds when descriptors and resources are no more than then; fail when they stay
 * more, or the memory has grown.
 */
export async function expectNoGrowth(rig: Rig, program: "client" | "server", before: Size, what: string) {
  let now = await sizeOf(rig, program);
  const isLetGo = async () => {
    now = await sizeOf(rig, program);
    return now.descriptors <= before.descriptors && now.resources <= before.resources;
  };
  await until("descriptors and resources to be let go", isLetGo, 15_000).catch(() => undefined); // compared below
  printTable(growthLine(what, before, now));
  expect(now.descriptors).toBeLessThanOrEqual(before.descriptors);
  expect(now.resources).toBeLessThanOrEqual(before.resources);
  expect(now.rssBytes - before.rssBytes).toBeLessThan(allowedGrowthBytes);
  expect(now.usedBytes - before.usedBytes).toBeLessThan(allowedGrowthBytes / 2);
}

/** The program has not crashed, is well, and has written no trace of a bug. */
export async function expectWell(rig: Rig, program: "client" | "server"): Promise<void> {
  const { process, url } = rig[program];
  expect(process.exit).toBeUndefined();
  await getText(`${url}/healthz`);
  expect(process.log()).not.toMatch(
    /unhandled|uncaught|MaxListeners|(Type|Reference|Assertion)Error|"level":"(error|fatal)"/,
  );
}

/** One line for the report. */
function growthLine(what: string, before: Size, after: Size): string {
  const mb = (bytes: number) => (bytes / 1024 / 1024).toFixed(1);
  return (
    `${what}: RSS ${mb(before.rssBytes)} → ${mb(after.rssBytes)} MB, in use ${mb(before.usedBytes)} → ` +
    `${mb(after.usedBytes)} MB, descriptors ${before.descriptors} → ${after.descriptors}\n`
  );
}
