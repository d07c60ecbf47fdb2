/**
 * One GET of a blob while it runs.
 */
import type { Logger } from "pino";
import { reasonOf } from "#base/errors.ts";
import type { SourceName } from "#blob/source.ts";
import type { BlobPart } from "./blob-lines.ts";
import type { BlobResult, ClientMetrics, Outcome } from "./metrics.ts";
import type { PullLog } from "./pull-log.ts";
import type { BlobProgress, PullKey } from "./pull-view.ts";
import { ndnReason, upstreamReason } from "./reasons.ts";
import { upstreamErrorKind } from "./upstream-answer.ts";

/** What is remembered of one blob request while it runs: its part of a log line and the metrics come out at its end. */
export class BlobRecord implements BlobProgress {
  /** Of payload that was handed to the response; a source that gave none is missing. */
  readonly bytes: Partial<Record<SourceName, number>> = {};
  /** Bytes that the answer will have; null while unknown. */
  sizeBytes: number | null = null;
  /** Whether only a part of the blob was asked for. */
  readonly isPart: boolean;
  /** How the request is met; the last word counts. Unsaid, it follows from where the bytes came from. */
  result: BlobResult | undefined;
  reason: string | undefined;
  readonly #metrics: ClientMetrics;
  readonly #pulls: PullLog;
  readonly #write: (part: BlobPart) => void;
  readonly #ended: (outcome: Outcome) => void;
  readonly #failures: string[] = [];
  /** Of the upstream, in words. */
  #upstreamFailure: string | undefined;
  readonly #began = performance.now();
  readonly #whyNoNdn: () => string | undefined;
  #ndnFailure: string | undefined;

  /** @param whyNoNdn - Why NDN is not asked for this blob now, in words; undefined when it is. */
  constructor(
    { log, metrics, pulls }: { readonly log: Logger; readonly metrics: ClientMetrics; readonly pulls: PullLog },
    request: PullKey & { readonly digest: string; readonly isPart?: boolean },
    whyNoNdn: () => string | undefined = () => undefined,
  ) {
    this.#metrics = metrics;
    this.#pulls = pulls;
    const { client, registry, repository, digest, isPart = false } = request;
    this.isPart = isPart;
    this.#write = pulls.lines.began(log, `${client} ${registry}`, { repository, digest });
    this.#whyNoNdn = whyNoNdn;
    this.#ended = pulls.began(request, this);
    metrics.blobsInFlight.inc();
  }

  /** Known when the first byte has come from the upstream. */
  get whyNotNdn(): string | undefined {
    if (!this.bytes.upstream) return undefined;
    this.#ndnFailure ??= this.#whyNoNdn() ?? whyPast[this.result ?? "miss"];
    return this.#ndnFailure;
  }

  /** Payload was handed to the response. */
  wrote(source: SourceName, sizeBytes: number): void {
    this.bytes[source] = (this.bytes[source] ?? 0) + sizeBytes;
    this.#metrics.blobBytes.inc({ source }, sizeBytes);
    this.#pulls.history.add(sizeBytes);
  }

  /** A source failed; the blob may still come from the next. Without `err` it counts as broken off. */
  failed(source: SourceName, reason: string, err?: unknown): void {
    this.#failures.push(`${source}: ${reason}`);
    if (source === "ndn") this.#ndnFailure ??= ndnReason(err ?? new Error(reason));
    if (source !== "upstream") return;
    this.#upstreamFailure = upstreamReason(err ?? new Error(reason));
    this.#metrics.upstreamErrors.inc(err === undefined ? "broken" : upstreamErrorKind(err));
  }

  /** The end; to be called once. */
  end(outcome: Outcome, err?: unknown): void {
    const ms = performance.now() - this.#began;
    if (err !== undefined && outcome !== "cancelled") this.reason = this.#upstreamFailure ?? upstreamReason(err);
    this.#count(outcome, ms / 1000);
    this.#ended(outcome);
    this.#write({
      bytes: this.bytes,
      outcome,
      isPart: this.isPart || outcome === "cancelled",
      failures: this.#failures,
      whyNotNdn: this.whyNotNdn,
      reason: err === undefined ? undefined : reasonOf(err),
    });
  }

  #count(outcome: Outcome, seconds: number): void {
    this.#metrics.blobsInFlight.dec();
    this.#metrics.blobs.inc({ outcome });
    this.#metrics.blobSeconds.observe(seconds);
    const sources = Object.keys(this.bytes);
    // Who was refused, or left before anything came, says nothing about the store.
    if (outcome !== "complete" && sources.length === 0) return;
    const isCached = sources.length === 1 && sources[0] === "store";
    this.#metrics.blobRequests.inc({ result: this.result ?? (isCached ? "store" : "miss") });
  }
}

/** Why the upstream brought bytes although NDN could be asked and did not fail. */
const whyPast: Readonly<Record<BlobResult, string>> = {
  bypass: "only the registry answers such a request: a range, a condition or another digest algorithm",
  follower: "the running fetch that it joined went to the upstream",
  miss: "NDN was later than the upstream (--hedge)",
  store: "NDN was later than the upstream (--hedge)",
};
