import type { Logger } from "pino";
import type { SourceName } from "#blob/source.ts";
import type { ClientMetrics } from "./metrics.ts";
import { reasonOf } from "./reason.ts";

/** How a blob request ended. */
export type Outcome =
  /** All bytes were handed to the puller. */
  | "complete"
  /** The connection was broken off: nobody could go on, or the digest was wrong. */
  | "broken"
  /** The puller went away. */
  | "cancelled"
  /** The upstream said no. */
  | "refused"
  /** Nobody could begin. */
  | "unavailable";

/** What is remembered of one blob request while it runs: one log line and the metrics come out at its end. */
export class BlobRecord {
  readonly #log: Logger;
  readonly #metrics: ClientMetrics;
  readonly #blob: Readonly<{ repository: string; digest: string }>;
  readonly #bytes: Partial<Record<SourceName, number>> = {};
  readonly #failures: string[] = [];
  readonly #began = performance.now();

  constructor(log: Logger, metrics: ClientMetrics, { repository, digest }: { repository: string; digest: string }) {
    this.#log = log;
    this.#metrics = metrics;
    this.#blob = { repository, digest };
    metrics.blobsInFlight.inc();
  }

  /** Payload was handed to the response. */
  wrote(source: SourceName, sizeBytes: number): void {
    this.#bytes[source] = (this.#bytes[source] ?? 0) + sizeBytes;
    this.#metrics.blobBytes.inc({ source }, sizeBytes);
  }

  /** A source failed; the blob may still come from the next. */
  failed(source: SourceName, reason: string): void {
    this.#failures.push(`${source}: ${reason}`);
    if (source === "upstream") this.#metrics.upstreamErrors.inc();
  }

  /** The end; to be called once. */
  end(outcome: Outcome, err?: unknown): void {
    const ms = performance.now() - this.#began;
    const total = Object.values(this.#bytes).reduce((sum, bytes) => sum + bytes, 0);
    this.#metrics.blobsInFlight.dec();
    this.#metrics.blobs.inc({ outcome });
    this.#metrics.blobSeconds.observe(ms / 1000);
    const fields = {
      ...this.#blob,
      bytes: this.#bytes,
      ms: Math.round(ms),
      mbPerSecond: Math.round(total / ms / 100) / 10,
      outcome,
      ...(this.#failures.length > 0 && { failures: this.#failures }),
      ...(err !== undefined && { reason: reasonOf(err) }),
    };
    if (outcome === "broken") this.#log.warn(fields, "blob broken off");
    else this.#log.info(fields, outcome === "complete" ? "blob served" : "blob not served");
  }
}
