/**
 * One pull: a puller's requests for one image, from the first question to the last blob. Takes a bounded amount of
 * memory whatever is asked for.
 */
import type { SourceName } from "#blob/source.ts";
import type { Referred } from "#oci/manifest.ts";
import { type BytesBySource, noBytes, type Outcome } from "./metrics.ts";
import type { BlobProgress, Clock, ManifestAnswer, PullKey, PullOutcome, PullView } from "./pull-view.ts";
import { refusalReason } from "./reasons.ts";

/** A puller computes between manifest and blobs: so long without a request, and it looks done. */
const settledMs = 2_000;
/** Without a sign that it has everything it may only be slow. */
const unsureMs = 5_000;
/** What has failed is tried again: Docker waits up to 25 s for that. */
const retriedMs = 30_000;
/** Requests this far apart belong to two pulls, but for blobs that the pull's own manifest names. */
const separateMs = 30_000;
/** A puller that reads lazily, or builds, asks for the blobs of a manifest when it needs them. */
const lazyMs = 3_600_000;
// An image has at most 127 layers; what a stranger asks for beyond these is not counted.
const maxBlobs = 256;
// Names and references of registries are no longer; what a stranger writes instead is cut.
const maxRepositoryLength = 255;
const maxReferenceLength = 135; // of `sha512:` and its digits; a tag has 128

export class Pull {
  readonly id: number;
  readonly key: PullKey;
  /** Blob requests that are running. */
  readonly live = new Set<BlobProgress>();
  /** Whether it was more than questions by HEAD. */
  hasRead = false;
  /** Runs out when it is over; undefined while it is busy, and after that. */
  timer: NodeJS.Timeout | undefined;
  readonly #clock: Clock;
  /** Of blob requests that have ended. */
  readonly #bytes: Record<SourceName, number> = { ...noBytes };
  readonly #blobs = new Map<string, Outcome>();
  /** Digests of its manifests and of those that they list; and of their blobs with their sizes, which complete it. */
  readonly #manifests = new Set<string>();
  readonly #expected = new Map<string, number>();
  /** Bytes of requests for parts that have ended, by blob. */
  readonly #parts = new Map<string, Record<SourceName, number>>();
  readonly #beganAt: number;
  readonly #beganMs: number;
  #activeMs: number;
  /** Manifest requests that are being answered. */
  #asking = 0;
  #reference: string | undefined;
  #manifestStatus = 200;
  #reason: string | undefined;
  #whyNotNdn: string | undefined;
  #manifestFrom: string | undefined;

  constructor(id: number, key: PullKey, clock: Clock) {
    this.id = id;
    this.key = { client: key.client, registry: key.registry, repository: kept(key.repository, maxRepositoryLength) };
    this.#clock = clock;
    this.#beganAt = clock.date();
    this.#beganMs = clock.now();
    this.#activeMs = this.#beganMs;
  }

  isOf({ client, registry, repository }: PullKey): boolean {
    const { key } = this;
    return key.repository === repository && key.client === client && key.registry === registry;
  }

  /** How well a request for the manifest of this tag or digest fits, 0 for not at all. */
  fitOfManifest(reference: string): number {
    if (isBeside(reference)) return this.#isRecent ? 1 : 0;
    const isAgain = this.isOver || (!this.isBusy && this.#blobs.size > 0);
    if (this.#reference === reference) return isAgain ? 0 : 3;
    if (!reference.includes(":") || !this.#isRecent) return 0;
    if (this.#manifests.has(reference)) return 2;
    return !this.isOver && this.#expected.size === 0 ? 1 : 0;
  }

  /** How well a request for this blob fits, 0 for not at all. */
  fitOfBlob(digest: string): number {
    const isKnown = this.#expected.has(digest) || this.#blobs.has(digest);
    if (this.#isRecent) return isKnown ? 4 : this.#expected.size === 0 ? 3 : 1;
    return isKnown && this.#idleMs < lazyMs ? 2 : 0;
  }

  /** A manifest is asked for. */
  asks(reference: string): void {
    this.#asking++;
    this.#activeMs = this.#clock.now();
    this.#reference ??= kept(reference, maxReferenceLength);
    if (reference.includes(":")) this.#names(reference);
  }

  answered(reference: string, { status, digest, from }: ManifestAnswer): void {
    this.#asking--;
    this.#activeMs = this.#clock.now();
    if (isBeside(reference)) return;
    this.#manifestStatus = status;
    if (status >= 400) this.#reason = refusalReason(status);
    if (digest !== undefined) this.#names(digest);
    this.#manifestFrom = from ?? this.#manifestFrom;
  }

  /** A manifest was given: these are the blobs and manifests that it lists. */
  listed(children: readonly Referred[]): void {
    for (const { kind, digest, sizeBytes } of children) {
      if (kind === "manifest") this.#names(digest);
      else if (this.#expected.size < maxBlobs) this.#expected.set(digest, sizeBytes);
    }
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
    this.#whyNotNdn ??= blob.whyNotNdn;
    if (blob.reason !== undefined) this.#reason = blob.reason;
    const key = digest.slice(0, maxReferenceLength);
    if (blob.isPart && this.#parts.size < maxBlobs) {
      const parts = this.#parts.get(key) ?? { ...noBytes };
      addBytes(parts, blob.bytes);
      this.#parts.set(kept(key, maxReferenceLength), parts);
    }
    const known = this.#blobs.get(key);
    // One request for it was enough: pullers drop others on purpose.
    if (known === "complete" && outcome === "cancelled") return;
    if (known !== undefined || this.#blobs.size < maxBlobs) this.#blobs.set(kept(key, maxReferenceLength), outcome);
  }

  /** How far a blob is that is asked for in parts, or once: what has come of it, and its size as far as that is known. */
  progressOf(
    digest: string,
    live: readonly BlobProgress[],
  ): Pick<BlobProgress, "sizeBytes"> & { bytes: BytesBySource } {
    const isParts = live.some((blob) => blob.isPart);
    const bytes = { ...noBytes, ...(isParts && this.#parts.get(digest)) };
    for (const blob of live) addBytes(bytes, blob.bytes);
    const [one] = live;
    return { bytes, sizeBytes: isParts ? (this.#expected.get(digest) ?? null) : (one?.sizeBytes ?? null) };
  }

  get isBusy(): boolean {
    return this.live.size > 0 || this.#asking > 0;
  }

  /** How long it has to stay without a request until it is over. */
  get quietMs(): number {
    const outcome = this.#settled();
    if (outcome === "failed" || outcome === "cancelled") return retriedMs;
    if (outcome !== "complete" || this.isBusy) return unsureMs;
    // Every blob that its manifest lists, or all that were asked for where it is not known.
    const hasAllOfIt = this.#expected.entries().every(([digest, sizeBytes]) => {
      const parts = this.#parts.get(digest);
      const isWhole = !parts || Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) >= sizeBytes;
      return isWhole && this.#blobs.get(digest) === "complete";
    });
    return hasAllOfIt ? settledMs : unsureMs;
  }

  get isOver(): boolean {
    return !this.isBusy && this.#idleMs >= this.quietMs;
  }

  /** @param isAtItsEnd - Whether it is known to be over, however short ago its last request was. */
  view(isAtItsEnd = false): PullView {
    const outcomes = [...this.#blobs.values()];
    const complete = outcomes.filter((outcome) => outcome === "complete").length;
    const bytes = { ...this.#bytes };
    for (const running of this.live) addBytes(bytes, running.bytes);
    const until = this.isBusy ? this.#clock.now() : this.#activeMs;
    const isRunning = this.isBusy || this.#idleMs < settledMs;
    const outcome = isRunning && !isAtItsEnd ? "running" : this.#settled();
    const hasFailed = outcome === "failed" || outcome === "refused";
    return {
      ...this.key,
      id: this.id,
      reference: this.#reference ?? null,
      beganAt: this.#beganAt,
      durationMs: Math.round(until - this.#beganMs),
      bytes,
      blobs: { live: this.live.size, complete, failed: outcomes.length - complete },
      outcome,
      reason: (hasFailed && this.#reason) || null,
      whyNotNdn: this.#whyNotNdn ?? this.live.values().find((blob) => blob.whyNotNdn)?.whyNotNdn ?? null,
      manifestFrom: this.#manifestFrom ?? null,
    };
  }

  get #idleMs(): number {
    return this.#clock.now() - this.#activeMs;
  }

  get #isRecent(): boolean {
    return this.isBusy || this.#idleMs < separateMs;
  }

  #names(manifest: string): void {
    if (this.#manifests.size < maxBlobs) this.#manifests.add(kept(manifest, maxReferenceLength));
  }

  #settled(): Exclude<PullOutcome, "running"> {
    const ends = new Set(this.#blobs.values());
    if (ends.has("broken") || ends.has("unavailable") || this.#manifestStatus >= 500) return "failed";
    if (ends.has("refused") || this.#manifestStatus >= 400) return "refused";
    if (ends.has("cancelled")) return "cancelled";
    return ends.size > 0 ? "complete" : "checked";
  }
}

/** Of a signature, an attestation or the like, which hangs on an image: the tag has the image's digest in it. */
function isBeside(reference: string): boolean {
  return /^sha256-[0-9a-f]{64}/.test(reference);
}

function addBytes(sums: Record<SourceName, number>, bytes: BlobProgress["bytes"]): void {
  for (const [source, count] of Object.entries(bytes)) sums[source as SourceName] += count;
}

// A copy: V8 makes a slice of a URL keep all of it in memory, and a stranger's URL may be as long as headers may be.
function kept(text: string, maxLength: number): string {
  return Buffer.from(text.slice(0, maxLength)).toString();
}
