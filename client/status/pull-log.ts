/**
 * What is being pulled now, and the last pulls. Nothing outlives the process, and it takes a bounded amount of memory.
 */
import type { SourceName } from "#blob/source.ts";
import { type BytesBySource, noBytes, type Outcome } from "./metrics.ts";

/** Two clocks, in milliseconds: one to measure with, which never goes back, and the time since 1970 to show. */
export interface Clock {
  readonly now: () => number;
  readonly date: () => number;
}

/** Who pulls what. */
export interface PullKey {
  /** The puller's address. */
  readonly client: string;
  /** The registry's name here. */
  readonly registry: string;
  readonly repository: string;
}

/** How far the answer to a blob request is. */
export interface BlobProgress {
  /** Bytes that were handed to the puller. */
  readonly bytes: Partial<BytesBySource>;
  /** Bytes that the answer will have; null while unknown. */
  readonly sizeBytes: number | null;
}

/** How a pull stands; `checked` asked for manifests only, and so has everything already. */
export type PullOutcome = "running" | "complete" | "failed" | "cancelled" | "refused" | "checked";

/** A pull, to be shown. */
export interface PullView extends PullKey {
  readonly id: number;
  /** Tag, or digest when no tag was asked for; null when no manifest was seen. */
  readonly reference: string | null;
  /** Milliseconds since 1970. */
  readonly beganAt: number;
  readonly durationMs: number;
  readonly bytes: BytesBySource;
  readonly blobs: { readonly live: number; readonly complete: number; readonly failed: number };
  readonly outcome: PullOutcome;
}

/** A blob request that is being answered, to be shown. */
export interface LiveBlob extends PullKey {
  readonly id: number;
  readonly digest: string;
  readonly sizeBytes: number | null;
  readonly bytes: BytesBySource;
  readonly durationMs: number;
}

/** Requests this far apart belong to two pulls. */
const separateMs = 30_000;
/** A puller computes between manifest and blobs: so long without a request, and it is done. */
const settledMs = 2_000;
// An image has at most 127 layers; what a stranger asks for beyond these is not counted.
const maxBlobs = 256;
// Names and references of registries are no longer; what a stranger writes instead is cut.
const maxRepositoryLength = 255;
const maxReferenceLength = 135; // of `sha512:` and its digits; a tag has 128

/** A pull while it is remembered; of fixed size whatever the puller asks for. */
class Pull {
  readonly id: number;
  readonly key: PullKey;
  /** Blob requests that are running. */
  readonly live = new Set<BlobProgress>();
  readonly #clock: Clock;
  /** Of blob requests that have ended. */
  readonly #bytes: Record<SourceName, number> = { ...noBytes };
  readonly #blobs = new Map<string, Outcome>();
  readonly #beganAt: number;
  readonly #beganMs: number;
  #activeMs: number;
  #reference: string | undefined;
  #manifestStatus = 200;

  constructor(id: number, key: PullKey, clock: Clock) {
    this.id = id;
    this.key = { client: key.client, registry: key.registry, repository: kept(key.repository, maxRepositoryLength) };
    this.#clock = clock;
    this.#beganAt = clock.date();
    this.#beganMs = clock.now();
    this.#activeMs = this.#beganMs;
  }

  /** Whether a request of now belongs to this pull. */
  takes({ client, registry, repository }: PullKey): boolean {
    if (this.key.repository !== repository || this.key.client !== client || this.key.registry !== registry)
      return false;
    return this.live.size > 0 || this.#idleMs < separateMs;
  }

  /** Whether a request for this manifest still belongs to this pull, or begins another. */
  continuesWith(reference: string): boolean {
    if (reference.includes(":")) return true; // a digest: no tag contains it
    const hasOtherTag = this.#reference !== undefined && this.#reference !== reference;
    return !hasOtherTag && (this.live.size > 0 || this.#blobs.size === 0);
  }

  manifest(reference: string, status: number): void {
    this.#activeMs = this.#clock.now();
    this.#manifestStatus = status;
    this.#reference ??= kept(reference, maxReferenceLength);
  }

  began(blob: BlobProgress): void {
    this.live.add(blob);
    this.#activeMs = this.#clock.now();
  }

  /** What became of a blob last counts: a puller tries again what has failed. */
  ended(digest: string, outcome: Outcome, blob: BlobProgress): void {
    this.live.delete(blob);
    addBytes(this.#bytes, blob.bytes);
    this.#activeMs = this.#clock.now();
    const key = digest.slice(0, maxReferenceLength);
    if (this.#blobs.has(key)) this.#blobs.set(key, outcome);
    else if (this.#blobs.size < maxBlobs) this.#blobs.set(kept(key, maxReferenceLength), outcome);
  }

  view(): PullView {
    const outcomes = [...this.#blobs.values()];
    const complete = outcomes.filter((outcome) => outcome === "complete").length;
    const bytes = { ...this.#bytes };
    for (const running of this.live) addBytes(bytes, running.bytes);
    const until = this.live.size > 0 ? this.#clock.now() : this.#activeMs;
    return {
      ...this.key,
      id: this.id,
      reference: this.#reference ?? null,
      beganAt: this.#beganAt,
      durationMs: Math.round(until - this.#beganMs),
      bytes,
      blobs: { live: this.live.size, complete, failed: outcomes.length - complete },
      outcome: this.#outcome(new Set(outcomes)),
    };
  }

  get #idleMs(): number {
    return this.#clock.now() - this.#activeMs;
  }

  #outcome(ends: ReadonlySet<Outcome>): PullOutcome {
    if (this.live.size > 0 || this.#idleMs < settledMs) return "running";
    if (ends.has("broken") || ends.has("unavailable")) return "failed";
    if (ends.has("refused") || this.#manifestStatus >= 400) return "refused";
    if (ends.has("cancelled")) return "cancelled";
    return ends.size > 0 ? "complete" : "checked";
  }
}

/** Pulls that are remembered. */
const maxPulls = 50;

const systemClock: Clock = { now: performance.now.bind(performance), date: Date.now };

/** A blob request that is being answered. */
interface LiveRequest {
  readonly pull: Pull;
  readonly id: number;
  readonly digest: string;
  readonly blob: BlobProgress;
  readonly beganMs: number;
}

/** Groups requests into pulls: same puller, same repository, at most 30 seconds between two of them. */
export class PullLog {
  readonly #clock: Clock;
  readonly #onPull: () => void;
  /** The newest first. */
  readonly #pulls: Pull[] = [];
  readonly #live = new Set<LiveRequest>();
  #lastId = 0;

  /** @param options - `onPull` is called when a pull begins, `clock` is for tests. */
  constructor(options: { onPull?: () => void; clock?: Clock } = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#onPull = options.onPull ?? (() => {});
  }

  /** A manifest was asked for, with GET or HEAD, and answered with `status`. */
  manifest({ reference, status, ...key }: PullKey & { reference: string; status: number }): void {
    this.#pullOf(key, reference).manifest(reference, status);
  }

  /** A blob was asked for; the caller says when the answer has ended, and how. */
  began({ digest, ...key }: PullKey & { digest: string }, blob: BlobProgress): (outcome: Outcome) => void {
    const pull = this.#pullOf(key);
    const live = { pull, id: ++this.#lastId, digest, blob, beganMs: this.#clock.now() };
    pull.began(blob);
    this.#live.add(live);
    return (outcome) => {
      if (this.#live.delete(live)) pull.ended(digest, outcome, blob);
    };
  }

  /** Blob requests that are running. */
  get liveCount(): number {
    return this.#live.size;
  }

  /** The longest running ones, at most `max`. */
  live(max: number): LiveBlob[] {
    const nowMs = this.#clock.now();
    const view = ({ pull, id, digest, blob, beganMs }: LiveRequest) => ({
      ...pull.key,
      id,
      digest,
      sizeBytes: blob.sizeBytes,
      bytes: { ...noBytes, ...blob.bytes },
      durationMs: Math.round(nowMs - beganMs),
    });
    return this.#live.values().take(max).map(view).toArray();
  }

  /** The last 50 pulls, the newest first. */
  pulls(): PullView[] {
    return this.#pulls.map((pull) => pull.view());
  }

  /** The pull that this request belongs to, or a new one; `reference` is that of a manifest. */
  #pullOf({ client, registry, repository }: PullKey, reference?: string): Pull {
    const key = { client, registry, repository };
    const open = this.#pulls.find((pull) => pull.takes(key));
    if (open && (reference === undefined || open.continuesWith(reference))) return open;
    if (this.#pulls.length >= maxPulls) {
      const idle = this.#pulls.findLastIndex(({ live }) => live.size === 0);
      this.#pulls.splice(idle, 1); // -1 is the last of them, and all are running
    }
    const pull = new Pull(++this.#lastId, key, this.#clock);
    this.#pulls.unshift(pull);
    this.#onPull();
    return pull;
  }
}

function addBytes(sums: Record<SourceName, number>, bytes: BlobProgress["bytes"]): void {
  for (const [source, count] of Object.entries(bytes)) sums[source as SourceName] += count;
}

// A copy: V8 makes a slice of a URL keep all of it in memory, and a stranger's URL may be as long as headers may be.
function kept(text: string, maxLength: number): string {
  return Buffer.from(text.slice(0, maxLength)).toString();
}
