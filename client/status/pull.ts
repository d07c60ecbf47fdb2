/**
 * One pull as far as it can be seen from here: a puller asks for a manifest, then for blobs of the same repository.
 */
import type { SourceName } from "#blob/source.ts";
import type { Outcome } from "./blob-record.ts";

/** Two clocks: one to measure with, one to show. */
export interface Clock {
  /** Milliseconds, never going back. */
  now(): number;
  /** Milliseconds since 1970. */
  date(): number;
}

/** Who pulls what. */
export interface PullKey {
  /** The puller's address. */
  readonly client: string;
  /** The registry's name here. */
  readonly registry: string;
  readonly repository: string;
}

/** Bytes by where they came from. */
export type BytesBySource = Readonly<Record<SourceName, number>>;

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

/** Requests this far apart belong to two pulls. */
const separateMs = 30_000;
/** A puller computes between manifest and blobs: so long without a request, and it is done. */
const settledMs = 2_000;
// An image has at most 127 layers; what a stranger asks for beyond these is not counted.
const maxBlobs = 256;
const maxReferenceLength = 135; // of `sha512:` and its digits; a tag has 128

// Names of repositories are no longer; what a stranger writes instead is cut.
const maxRepositoryLength = 255;

/** No bytes yet. */
export const noBytes = (): Record<SourceName, number> => ({ ndn: 0, store: 0, peer: 0, upstream: 0 });

/** A pull while it is remembered; of fixed size whatever the puller asks for. */
export class Pull {
  readonly id: number;
  readonly key: PullKey;
  readonly #clock: Clock;
  /** Of blob requests that have ended. */
  readonly #bytes = noBytes();
  /** Of those that are running. */
  readonly #live = new Set<BytesBySource>();
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

  isOf({ client, registry, repository }: PullKey): boolean {
    return this.key.repository === repository && this.key.client === client && this.key.registry === registry;
  }

  /** Blob requests that are running. */
  get live(): number {
    return this.#live.size;
  }

  /** Whether the next request belongs to this pull. */
  get isOpen(): boolean {
    return this.live > 0 || this.#idleMs < separateMs;
  }

  /** Whether a request for this manifest still belongs to this pull, or begins another. */
  continuesWith(reference: string): boolean {
    if (isDigest(reference)) return true;
    const hasOtherTag = this.#reference !== undefined && this.#reference !== reference;
    return !hasOtherTag && (this.live > 0 || this.#blobs.size === 0);
  }

  manifest(reference: string, status: number): void {
    this.#activeMs = this.#clock.now();
    this.#manifestStatus = status;
    this.#reference ??= kept(reference, maxReferenceLength);
  }

  /** @param bytes - Those of the blob, which grow until it has `ended`. */
  began(bytes: BytesBySource): void {
    this.#live.add(bytes);
    this.#activeMs = this.#clock.now();
  }

  /** What became of a blob last counts: a puller tries again what has failed. */
  ended(digest: string, outcome: Outcome, bytes: BytesBySource): void {
    this.#live.delete(bytes);
    addBytes(this.#bytes, bytes);
    this.#activeMs = this.#clock.now();
    const key = digest.slice(0, maxReferenceLength);
    if (this.#blobs.has(key)) this.#blobs.set(key, outcome);
    else if (this.#blobs.size < maxBlobs) this.#blobs.set(kept(key, maxReferenceLength), outcome);
  }

  view(): PullView {
    const outcomes = [...this.#blobs.values()];
    const complete = outcomes.filter((outcome) => outcome === "complete").length;
    const bytes = { ...this.#bytes };
    for (const running of this.#live) addBytes(bytes, running);
    const until = this.live > 0 ? this.#clock.now() : this.#activeMs;
    return {
      ...this.key,
      id: this.id,
      reference: this.#reference ?? null,
      beganAt: this.#beganAt,
      durationMs: Math.round(until - this.#beganMs),
      bytes,
      blobs: { live: this.live, complete, failed: outcomes.length - complete },
      outcome: this.#outcome(new Set(outcomes)),
    };
  }

  get #idleMs(): number {
    return this.#clock.now() - this.#activeMs;
  }

  #outcome(ends: ReadonlySet<Outcome>): PullOutcome {
    if (this.live > 0 || this.#idleMs < settledMs) return "running";
    if (ends.has("broken") || ends.has("unavailable")) return "failed";
    if (ends.has("refused") || this.#manifestStatus >= 400) return "refused";
    if (ends.has("cancelled")) return "cancelled";
    return ends.size > 0 ? "complete" : "checked";
  }
}

function addBytes(sums: Record<SourceName, number>, bytes: BytesBySource): void {
  for (const source of Object.keys(bytes) as SourceName[]) sums[source] += bytes[source];
}

// A copy: V8 makes a slice of a URL keep all of it in memory, and a stranger's URL may be as long as headers may be.
function kept(text: string, maxLength: number): string {
  return Buffer.from(text.slice(0, maxLength)).toString();
}

function isDigest(reference: string): boolean {
  return reference.includes(":"); // which no tag contains
}
