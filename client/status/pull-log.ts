/**
 * What is being pulled now, and the last pulls. Nothing outlives the process, and it takes a bounded amount of memory.
 */
import type { Referred } from "#oci/manifest.ts";
import { BlobLines } from "./blob-lines.ts";
import type { BytesBySource, Outcome } from "./metrics.ts";
import { Pull } from "./pull.ts";
import type { BlobProgress, Clock, ManifestAnswer, PullKey, PullView } from "./pull-view.ts";

/** A blob request that is being answered, to be shown. */
export interface LiveBlob extends PullKey {
  readonly id: number;
  readonly digest: string;
  readonly sizeBytes: number | null;
  readonly bytes: BytesBySource;
  readonly durationMs: number;
  /** Why bytes come from the upstream and not over NDN. */
  readonly whyNotNdn: string | null;
}

/** A manifest request that is being answered, with GET or HEAD. */
export interface ManifestQuestion extends PullKey {
  readonly reference: string;
  /** @defaultValue GET */
  readonly method?: string | undefined;
}

/** Who is notified of pulls. */
export interface PullLogOptions {
  /** Counts pulls that have begun. */
  readonly begun?: { inc(): void };
  /** A pull is over: all has come, or nothing more is asked for. Called again when it continues after that. */
  readonly onEnd?: (pull: PullView) => void;
  /** For tests. */
  readonly clock?: Clock;
}

/** Pulls that are remembered. */
const maxPulls = 50;

const systemClock: Clock = { now: () => performance.now(), date: Date.now };

/** A blob request that is being answered. */
interface LiveRequest {
  readonly pull: Pull;
  readonly id: number;
  readonly digest: string;
  readonly blob: BlobProgress;
  readonly beganMs: number;
}

/** Groups requests into pulls: same puller, same repository, and a manifest that names what is asked for. */
export class PullLog {
  /** Of all pulls together. */
  readonly history: ByteHistory;
  /** Of the log, one per blob. */
  readonly lines = new BlobLines();
  readonly #options: PullLogOptions;
  readonly #clock: Clock;
  /** The newest first. */
  readonly #pulls: Pull[] = [];
  readonly #live = new Set<LiveRequest>();
  #lastId = 0;

  constructor(options: PullLogOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.history = new ByteHistory(this.#clock.now);
  }

  /** A manifest is asked for; the caller says when the answer has ended, and how. */
  asked({ reference, method = "GET", ...key }: ManifestQuestion): (answer: ManifestAnswer) => void {
    const pull = this.#pullOf(key, (one) => one.fitOfManifest(reference));
    clearTimeout(pull.timer);
    pull.asks(reference);
    if (method !== "HEAD") this.#count(pull);
    return (answer) => {
      pull.answered(reference, answer);
      this.#waitForEnd(pull);
    };
  }

  /** A manifest was given to a puller that asks for it: these are the blobs and manifests that it lists. */
  listed({ reference, ...key }: ManifestQuestion, children: readonly Referred[]): void {
    this.#pullOf(key, (one) => one.fitOfManifest(reference)).listed(children);
  }

  /** A blob is asked for; the caller says when the answer has ended, and how. */
  began({ digest, ...key }: PullKey & { digest: string }, blob: BlobProgress): (outcome: Outcome) => void {
    const pull = this.#pullOf(key, (one) => one.fitOfBlob(digest));
    clearTimeout(pull.timer);
    const live = { pull, id: ++this.#lastId, digest, blob, beganMs: this.#clock.now() };
    pull.began(blob);
    this.#count(pull);
    this.#live.add(live);
    return (outcome) => {
      if (!this.#live.delete(live)) return;
      pull.ended(digest, outcome, blob);
      this.#waitForEnd(pull);
    };
  }

  /** This puller pushes to the repository: its questions there, if it has read nothing, were no pull. */
  pushed(key: PullKey): void {
    const at = this.#pulls.findIndex((pull) => pull.isOf(key) && !pull.isOver);
    const pull = this.#pulls[at];
    if (!pull || pull.hasRead || pull.isBusy) return;
    clearTimeout(pull.timer);
    this.#pulls.splice(at, 1);
  }

  /** Blobs that are being given to a puller; one that is read in several parts at a time counts once. */
  get liveCount(): number {
    return this.#liveBlobs().size;
  }

  /** The longest running ones, at most `max`. */
  live(max: number): LiveBlob[] {
    const nowMs = this.#clock.now();
    return this.#liveBlobs()
      .values()
      .take(max)
      .map(([first, ...others]) => {
        const { pull, id, digest, beganMs } = first!;
        const parts = [first!, ...others].map(({ blob }) => blob);
        return {
          ...pull.key,
          ...pull.progressOf(digest, parts),
          id,
          digest,
          durationMs: Math.round(nowMs - beganMs),
          whyNotNdn: parts.find(({ whyNotNdn }) => whyNotNdn)?.whyNotNdn ?? null,
        };
      })
      .toArray();
  }

  /** Requests that are running, by pull and blob. */
  #liveBlobs(): Map<string, LiveRequest[]> {
    return Map.groupBy(this.#live, ({ pull, digest, blob, id }) => `${pull.id} ${digest} ${blob.isPart ? "" : id}`);
  }

  /** The last 50 pulls, the newest first. */
  pulls(): PullView[] {
    return this.#pulls.map((pull) => pull.view());
  }

  /** No more is asked for: those that were not over are now. */
  close(): void {
    this.lines.close();
    for (const pull of this.#pulls) if (pull.timer) this.#end(pull);
  }

  /** The pull that a request fits best, the newest of those; else a new one. */
  #pullOf({ client, registry, repository }: PullKey, fitOf: (pull: Pull) => number): Pull {
    const key = { client, registry, repository };
    let [best, bestFit]: [Pull | undefined, number] = [undefined, 0];
    for (const pull of this.#pulls) {
      const fit = pull.isOf(key) ? fitOf(pull) : 0;
      if (fit > bestFit) [best, bestFit] = [pull, fit];
    }
    if (best) return best;
    if (this.#pulls.length >= maxPulls) this.#forgetOne();
    const pull = new Pull(++this.#lastId, key, this.#clock);
    this.#pulls.unshift(pull);
    return pull;
  }

  #forgetOne(): void {
    const idle = this.#pulls.findLastIndex((pull) => !pull.isBusy);
    const [pull] = this.#pulls.splice(idle, 1); // -1 is the last of them, and all are running
    if (pull?.timer) this.#end(pull);
  }

  #count(pull: Pull): void {
    if (pull.hasRead) return;
    pull.hasRead = true;
    this.#options.begun?.inc();
  }

  #waitForEnd(pull: Pull): void {
    clearTimeout(pull.timer);
    pull.timer = pull.isBusy ? undefined : setTimeout(() => this.#end(pull), pull.quietMs).unref();
  }

  #end(pull: Pull): void {
    clearTimeout(pull.timer);
    pull.timer = undefined;
    this.#count(pull);
    this.#options.onEnd?.(pull.view(true));
  }
}

/** Seconds that are remembered. */
export const historySeconds = 120;

/** How many bytes pullers were given in each of the last seconds: a ring of one counter per second. */
export class ByteHistory {
  readonly #now: () => number;
  readonly #bytes = new Float64Array(historySeconds + 1);
  /** The second that the newest counter is of. */
  #second: number;

  /** @param now - Milliseconds of a clock that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
    this.#second = Math.floor(now() / 1000);
  }

  add(bytes: number): void {
    this.#proceed();
    this.#bytes[this.#second % this.#bytes.length]! += bytes;
  }

  /** Bytes in each of the last 120 whole seconds, the oldest first. */
  perSecond(): number[] {
    this.#proceed();
    const { length } = this.#bytes;
    return Array.from({ length: historySeconds }, (_, i) => this.#bytes[(this.#second + 1 + i) % length]!);
  }

  /** Empty the counters of the seconds that have begun since. */
  #proceed(): void {
    const second = Math.floor(this.#now() / 1000);
    const { length } = this.#bytes;
    for (let next = Math.max(this.#second + 1, second - length + 1); next <= second; next++)
      this.#bytes[next % length] = 0;
    this.#second = Math.max(this.#second, second);
  }
}
