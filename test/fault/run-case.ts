/** Runs one case with one seed, and looks for what it left behind. */
import { readdir } from "node:fs/promises";
import { until } from "#test/support/until.ts";
import { descriptorsOf, type Holdings } from "./probe.ts";
import type { Outcome, Pull } from "./pull.ts";
import { getText, type Rig } from "./rig.ts";
import { type FaultCase, Scene } from "./scene.ts";

/** A line of the table at the end. */
export interface Row {
  readonly name: string;
  readonly seed: number;
  readonly outcome: string;
  /** Of the pulls, all together. */
  readonly ms: number;
  /** Until everything was as before. */
  readonly settledMs: number;
  readonly ndnBytes: number;
  readonly upstreamBytes: number;
  readonly problems: readonly string[];
}

const defaultSettleMs = 12_000;

/** Run a case; what is wrong is in `problems`. Throws only when the rig itself cannot be used any more. */
export async function runCase(rig: Rig, faultCase: FaultCase, seed: number, baseline: Baseline): Promise<Row> {
  const scene = new Scene(rig, faultCase.name, seed);
  const problems: string[] = [];
  const logs = logLengths(rig);
  const bytes = await rig.bytesBySource();
  const { client } = rig;
  const begunAtMs = performance.now();
  let pulls: readonly Pull[] = [];
  try {
    pulls = [await faultCase.run(scene)].flat();
  } catch (err: unknown) {
    problems.push(`the case itself failed: ${String(err)}`);
  }
  const ms = Math.round(performance.now() - begunAtMs);
  const after = client === rig.client ? await rig.bytesBySource().catch(() => bytes) : bytes;
  problems.push(...misbehaviour(faultCase, pulls));
  await scene.end();
  rig.calm();
  problems.push(...(await recovery(rig, scene)));
  problems.push(...(await baseline.leaks(rig, faultCase.settleMs ?? defaultSettleMs)), ...complaints(rig, logs));
  scene.forget();
  const settledMs = Math.round(performance.now() - begunAtMs) - ms;
  return {
    ...{ name: faultCase.name, seed, outcome: summary(pulls), ms, settledMs, problems },
    ...{ ndnBytes: after.ndn - bytes.ndn, upstreamBytes: after.upstream - bytes.upstream },
  };
}

function misbehaviour(faultCase: FaultCase, pulls: readonly Pull[]): string[] {
  const { mayBreak, mayWait } = faultCase;
  const allowed: Outcome[] = [
    "right",
    "left",
    ...(mayBreak ? ["break" as const] : []),
    ...(mayWait ? ["hang" as const] : []),
  ];
  const bad = pulls.filter(({ outcome }) => !allowed.includes(outcome));
  return bad.map(({ outcome, ms, bytes, status }) => `${outcome} (status ${status}) after ${bytes} bytes, ${ms} ms`);
}

function summary(pulls: readonly Pull[]): string {
  const outcomes = [...new Set(pulls.map(({ outcome }) => outcome))];
  return outcomes.map((what) => (what === "break" ? "clean break" : what)).join(", ");
}

/** The programs live, serve the same blobs, and serve over NDN again. */
async function recovery(rig: Rig, scene: Scene): Promise<string[]> {
  const problems: string[] = [];
  for (const digest of scene.pulled) {
    const { outcome, status, ms } = await scene.pull(digest, { boundMs: 10_000 });
    if (outcome !== "right") problems.push(`the next pull is not right: ${outcome} (status ${status}, ${ms} ms)`);
  }
  for (const { url } of [rig.client, rig.server]) {
    await getText(`${url}/healthz`).catch((err: unknown) => problems.push(String(err)));
  }
  await rig.untilNdnServes(() => scene.freshBlob(1_000)).catch((err: unknown) => problems.push(String(err)));
  return problems;
}

/** What the programs hold when nothing goes on. */
export class Baseline {
  #cached: readonly Cached[] = [];

  /** Look for two seconds at programs that have nothing to do: the most that is seen of anything is what they hold. */
  async take(rig: Rig): Promise<void> {
    const begunAtMs = performance.now();
    await until("a calm moment", async () => {
      const cached = await holdings(rig);
      this.#cached = differences(cached, this.#cached).length === 0 ? this.#cached : most(this.#cached, cached);
      return performance.now() - begunAtMs > 2_000;
    });
  }

  /** What is cached beyond the baseline and not let go in time. */
  async leaks(rig: Rig, settleMs: number): Promise<string[]> {
    let left: string[] = ["unknown"];
    const isClean = async () => {
      left = differences(await holdings(rig), this.#cached);
      return left.length === 0;
    };
    await until("nothing to be left", isClean, settleMs).catch((err: unknown) => {
      if (left[0] === "unknown") left = [String(err)];
    });
    return left.map((what) => `left behind: ${what}`);
  }
}

interface Cached {
  readonly program: string;
  readonly descriptors: readonly string[];
  readonly resources: Holdings["resources"];
  readonly unfinished: readonly string[];
}

async function holdings(rig: Rig): Promise<Cached[]> {
  rig.registry.closeIdleConnections();
  rig.upstream.closeIdleConnections();
  return Promise.all(
    (["client", "server"] as const).map(async (program) => ({
      program,
      resources: (await rig.probe(program)).resources,
      descriptors: await descriptorsOf(rig[program].process.pid),
      unfinished: await unfinishedFiles(rig.path(program)),
    })),
  );
}

async function unfinishedFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => /tmp|partial|\.part$|~$/i.test(name));
}

/** What the first holds more of than the second. */
function differences(now: readonly Cached[], before: readonly Cached[]): string[] {
  return now.flatMap((cached, i) => {
    const { program } = cached;
    const more = (what: readonly string[], known: readonly string[] = []) => {
      const names = [...new Set(what)];
      const count = (list: readonly string[], name: string) => list.filter((other) => other === name).length;
      return names.filter((name) => count(what, name) > count(known, name));
    };
    const resources = Object.entries(cached.resources).filter(([type, n]) => n > (before[i]?.resources[type] ?? 0));
    return [
      ...more(cached.descriptors, before[i]?.descriptors).map((name) => `${program}: descriptor ${name}`),
      ...more(cached.unfinished, before[i]?.unfinished).map((name) => `${program}: file ${name}`),
      ...resources.map(([type, n]) => `${program}: ${n} × ${type}, before ${before[i]?.resources[type] ?? 0}`),
    ];
  });
}

/** For each program the more of everything. */
function most(one: readonly Cached[], other: readonly Cached[]): Cached[] {
  return other.map((cached, i) => {
    const before = one[i];
    const resources = Object.fromEntries(
      Object.entries({ ...before?.resources, ...cached.resources }).map(([type]) => {
        return [type, Math.max(cached.resources[type] ?? 0, before?.resources[type] ?? 0)];
      }),
    );
    const isMore = cached.descriptors.length > (before?.descriptors.length ?? 0);
    return {
      ...cached,
      resources,
      descriptors: isMore || before === undefined ? cached.descriptors : before.descriptors,
    };
  });
}

function logLengths(rig: Rig): number[] {
  return [rig.client, rig.server].map(({ process }) => process.log().length);
}

/** Lines that no program that is in order writes: a bug's trace, a warning of Node's, an error or worse. */
function complaints(rig: Rig, lengths: readonly number[]): string[] {
  const bad = /unhandled|uncaught|MaxListeners|\(node:\d+\)|(Type|Reference|Assertion)Error|"level":"(error|fatal)"/;
  return [rig.client, rig.server].flatMap(({ process }, i) => {
    const lines = process.log().slice(lengths[i]).split("\n");
    return lines.filter((line) => bad.test(line)).map((line) => `log: ${line.slice(0, 300)}`);
  });
}
