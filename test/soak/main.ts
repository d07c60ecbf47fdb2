/**
 * Random pulls under random faults, in network namespaces: a registry's host, two routers, three pullers.
 *
 *     npm run soak -- --minutes 20 --seed 1 --at-once 20
 *
 * Bounded in time and in pulls; ends with a table and exit status 0 only if no byte was wrong, nothing hung, no program
 * uses more memory than at the start, and everything serves when the faults are over. Needs root, ndnd and docker-registry.
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { missingPrograms } from "#test/support/programs.ts";
import { seededRandom } from "#test/support/seeded-random.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { GivenUp, until } from "#test/support/until.ts";
import { Faults } from "./faults.ts";
import { Network, networkPrograms } from "./network.ts";
import { Parts } from "./parts.ts";
import { Pulls } from "./pulls.ts";
import { report } from "./report.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "20" },
    seed: { type: "string", default: "1" },
    pulls: { type: "string", default: "20000" },
    "at-once": { type: "string", default: "6" },
  },
});
const pullers = 3;
const blobs = 42;
/** Programs have taken the size that work gives them after this long. */
const warmUpMs = 20_000;
const lookMs = 2_000;

const missing = missingPrograms([...networkPrograms, "ndnd", "docker-registry"]);
if (missing.length > 0) {
  console.error(`the soak needs ${missing.join(", ")}${missing.includes("root") ? " (network namespaces)" : ""}`);
  process.exit(2);
}

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
process.exitCode = (await soak()) ? 0 : 1;

async function soak(): Promise<boolean> {
  const seed = Number(values.seed);
  await using folder = await makeTemporaryFolder();
  await using network = new Network(pullers);
  await network.make();
  await using parts = new Parts(network, folder.path, seed);
  await parts.start();
  const pulls = new Pulls(parts, seededRandom(seed));
  const faults = new Faults(parts, network, seededRandom(seed + 1));
  await pulls.push(blobs, `soak ${seed}`);
  await allServe(pulls);
  console.log(
    `soak: ${values.minutes} minutes, seed ${seed}, processes ${parts
      .all()
      .map(({ process: { pid } }) => pid)
      .join(", ")}`,
  );
  const begunAtMs = performance.now();
  const over = AbortSignal.any([stop.signal, AbortSignal.timeout(Number(values.minutes) * 60_000)]);
  const pulling = pulls.run(over, Number(values["at-once"]), Number(values.pulls));
  const looking = look(parts, pulls, over);
  const faulting = faults.run(AbortSignal.any([over, aborted(pulling)]));
  await Promise.all([pulling, looking, faulting]);
  const seconds = (performance.now() - begunAtMs) / 1000;
  const isWellAfterwards = await allServe(pulls).then(
    () => true,
    () => false,
  );
  await pulls.countBytes();
  return await report({ parts, pulls, faults, seconds, isWellAfterwards });
}

/** Every puller gets a blob right. */
async function allServe(pulls: Pulls): Promise<void> {
  for (let i = 0; i < pullers; i++) {
    const isServed = async () => {
      if (stop.signal.aborted) throw new GivenUp("stopped");
      return (await pulls.one(i)).outcome === "right";
    };
    await until(`puller ${i} to be served`, isServed, 60_000);
  }
}

/** Now and then: count bytes, and note the size of programs that have warmed up since their start. */
async function look(parts: Parts, pulls: Pulls, over: AbortSignal): Promise<void> {
  const seenAtMs = new Map<number, number>();
  while (!over.aborted) {
    await delay(lookMs, undefined, { signal: over }).catch(() => undefined); // over: one last look
    await pulls.countBytes();
    for (const part of parts.all()) {
      const { pid, exit } = part.process;
      if (exit !== undefined) continue;
      if (!seenAtMs.has(pid)) seenAtMs.set(pid, performance.now());
      if (part.begin !== undefined || performance.now() - seenAtMs.get(pid)! < warmUpMs) continue;
      part.begin = await part.size().catch(() => undefined); // it may end at this moment
    }
  }
}

/** Aborted when the promise is settled. */
function aborted(promise: Promise<unknown>): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort();
  promise.then(abort, abort);
  return controller.signal;
}
