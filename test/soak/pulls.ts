/** Random pulls, several per puller at a time, and what became of them. */
import { setTimeout as delay } from "node:timers/promises";
import type { Outcome, Pull, PullOptions } from "#test/fault/pull.ts";
import { parseMetrics, sumOf } from "#test/support/metrics.ts";
import { below, oneOf } from "#test/support/seeded-random.ts";
import { blobUrl } from "#test/support/slow-reader.ts";
import { type Parts, registryUrl, repository } from "./parts.ts";
import type { WorkDone } from "./worker.ts";

type Random = () => number;

/** A pull that is not over by then hangs; longer than all faults together can hold one up. */
const boundMs = 60_000;
const sizes = [1_000, 20_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 20_000_000];

/** Pulls until it is told to stop. */
export class Pulls {
  /** `down`: the puller's own client did not run, or was killed meanwhile. */
  readonly outcomes = new Map<Outcome | "down", number>();
  readonly bySource = new Map<string, number>();
  slowestMs = 0;
  /** Whatever must not happen, in words. */
  readonly bad: string[] = [];
  /** Pulls that a client that ran broke off. */
  readonly breaks: string[] = [];
  readonly #parts: Parts;
  readonly #random: Random;
  readonly #digests: string[] = [];
  readonly #lastBytes = new Map<string, number>();

  constructor(parts: Parts, random: Random) {
    this.#parts = parts;
    this.#random = random;
  }

  get count(): number {
    return [...this.outcomes.values()].reduce((sum, n) => sum + n, 0);
  }

  /** Push the blobs that are pulled; more than the pullers' stores hold. */
  async push(count: number, seed: string): Promise<void> {
    for (let i = 0; i < count; i++) {
      const what = {
        kind: "push",
        registry: registryUrl,
        repository,
        seed: `${seed} ${i}`,
        bytes: sizes[i % sizes.length],
      };
      const { digest, error } = await this.#parts.pusher.ask<WorkDone>(what);
      if (digest === undefined) throw new Error(`cannot push: ${error}`);
      this.#digests.push(digest);
    }
  }

  /** Pull so many blobs at a time, by all pullers together, until `signal` is aborted or so many pulls are done. */
  async run(signal: AbortSignal, atOnce: number, maxPulls: number): Promise<void> {
    const { length } = this.#parts.workers;
    const lanes = Array.from({ length: atOnce }, (_, n) => n % length);
    await Promise.all(
      lanes.map(async (i) => {
        while (!signal.aborted && this.count < maxPulls) {
          const { process } = this.#parts.clients[i]!;
          const done = await this.one(i, this.#options());
          this.#note(i, done, process.exit !== undefined);
          await delay(below(this.#random, 300));
        }
      }),
    );
  }

  /** One pull of a random blob by puller `i`. */
  async one(i: number, options: PullOptions = {}): Promise<Pull> {
    const digest = oneOf(this.#random, this.#digests);
    const url = blobUrl("http://127.0.0.1:5000", repository, digest);
    const work = { kind: "pull", url, digest, options: { boundMs, ...options } };
    const { pull, error } = await this.#parts.workers[i]!.ask<WorkDone>(work);
    if (pull === undefined) throw new Error(`worker ${i}: ${error}`);
    return pull;
  }

  /** Add what the clients have handed out since the last look; a client that was started again counts from 0. */
  async countBytes(): Promise<void> {
    for (const i of this.#parts.workers.keys()) {
      const samples = parseMetrics(await this.#parts.page(i, "/metrics"));
      for (const source of ["ndn", "upstream", "store", "peer"]) {
        const key = `${i} ${source}`;
        const now = sumOf(samples, "ndn_registry_blob_bytes_total", { source });
        const last = this.#lastBytes.get(key) ?? 0;
        if (samples.size === 0) continue; // it is down
        this.bySource.set(source, (this.bySource.get(source) ?? 0) + (now >= last ? now - last : now));
        this.#lastBytes.set(key, now);
      }
    }
  }

  #note(i: number, pull: Pull, isDown: boolean): void {
    const outcome = isDown && pull.outcome === "break" ? "down" : pull.outcome;
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
    if (outcome === "break") this.breaks.push(`puller ${i}: status ${pull.status}, ${pull.bytes} bytes, ${pull.ms} ms`);
    this.slowestMs = Math.max(this.slowestMs, pull.ms);
    if (pull.outcome !== "wrong" && pull.outcome !== "hang") return;
    this.bad.push(`puller ${i}: ${pull.outcome} (status ${pull.status}), ${pull.bytes} bytes, ${pull.ms} ms`);
  }

  #options(): PullOptions {
    const what = this.#random();
    if (what < 0.1) return { leaveAfterBytes: below(this.#random, 2_000_000) };
    if (what < 0.2) return { pause: { afterBytes: below(this.#random, 2_000_000), ms: below(this.#random, 3_000) } };
    return {};
  }
}
