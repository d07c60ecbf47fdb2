/**
 * What is being pulled now, and the last pulls. Nothing outlives the process, and it takes a bounded amount of memory.
 */
import type { BlobWatch } from "./blob-record.ts";
import { type BytesBySource, type Clock, noBytes, Pull, type PullKey, type PullView } from "./pull.ts";

/** A blob request that is being answered, to be shown. */
export interface LiveBlob extends PullKey {
  readonly id: number;
  readonly digest: string;
  /** Bytes that the answer will have; null while unknown. */
  readonly sizeBytes: number | null;
  readonly bytes: BytesBySource;
  readonly durationMs: number;
}

/** Pulls that are remembered. */
const maxPulls = 50;

const systemClock: Clock = { now: () => performance.now(), date: () => Date.now() };

/** Groups requests into pulls: same puller, same repository, at most 30 seconds between two of them. */
export class PullLog {
  readonly #clock: Clock;
  readonly #onPull: () => void;
  /** The newest first. */
  readonly #pulls: Pull[] = [];
  readonly #live = new Set<() => LiveBlob>();
  #lastId = 0;

  /** @param options - `onPull` is told when a pull begins, `clock` is for tests. */
  constructor(options: { onPull?: () => void; clock?: Clock } = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#onPull = options.onPull ?? (() => {});
  }

  /** A manifest was asked for, with GET or HEAD, and answered with `status`. */
  manifest({ reference, status, ...key }: PullKey & { reference: string; status: number }): void {
    const open = this.#openPull(key);
    const pull = open?.continuesWith(reference) ? open : this.#begin(key);
    pull.manifest(reference, status);
  }

  /** A blob was asked for; the watch must be told of its end. */
  began({ digest, ...key }: PullKey & { digest: string }): BlobWatch {
    const pull = this.#openPull(key) ?? this.#begin(key);
    const id = ++this.#lastId;
    const [bytes, beganMs] = [noBytes(), this.#clock.now()];
    let sizeBytes: number | null = null;
    const view = () => ({
      ...pull.key,
      id,
      digest,
      sizeBytes,
      bytes: { ...bytes },
      durationMs: Math.round(this.#clock.now() - beganMs),
    });
    pull.began(bytes);
    this.#live.add(view);
    return {
      sized(size) {
        sizeBytes = size;
      },
      wrote(source, size) {
        bytes[source] += size;
      },
      ended: (outcome) => {
        if (this.#live.delete(view)) pull.ended(digest, outcome, bytes);
      },
    };
  }

  /** Blob requests that are running. */
  get liveCount(): number {
    return this.#live.size;
  }

  /** The longest running ones, at most `max`. */
  live(max: number): LiveBlob[] {
    return this.#live
      .values()
      .take(max)
      .map((view) => view())
      .toArray();
  }

  /** The last 50 pulls, the newest first. */
  pulls(): PullView[] {
    return this.#pulls.map((pull) => pull.view());
  }

  #openPull(key: PullKey): Pull | undefined {
    return this.#pulls.find((pull) => pull.isOf(key) && pull.isOpen);
  }

  #begin({ client, registry, repository }: PullKey): Pull {
    if (this.#pulls.length >= maxPulls) {
      const idle = this.#pulls.findLastIndex(({ live }) => live === 0);
      this.#pulls.splice(idle, 1); // -1 is the last of them, and all are running
    }
    const pull = new Pull(++this.#lastId, { client, registry, repository }, this.#clock);
    this.#pulls.unshift(pull);
    this.#onPull();
    return pull;
  }
}
