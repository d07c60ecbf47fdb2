/**
 * What an upstream says besides content: in which way it failed (the `kind` label of the metrics), and how much quota is
 * left.
 */
import type { IncomingHttpHeaders } from "node:http";
import { causesOf } from "#base/errors.ts";
import { BlobCorrupt, BlobUnavailable } from "#blob/source.ts";
import { UpstreamAnswer } from "#blob/upstream-response.ts";
import type { ClientMetrics, UpstreamErrorKind } from "./metrics.ts";

/** A registry's quota, in pulls. */
export interface RateLimit {
  readonly limit: number;
  readonly remaining: number;
}

/**
 * The quota in the headers of an answer, as Docker Hub gives it: `ratelimit-limit: 100;w=21600`, the window in seconds.
 * Undefined when it is not there or not understood.
 */
export function parseRateLimit(headers: IncomingHttpHeaders): RateLimit | undefined {
  const [limit, remaining] = [countOf(headers["ratelimit-limit"]), countOf(headers["ratelimit-remaining"])];
  return limit === undefined || remaining === undefined ? undefined : { limit, remaining };
}

/**
 * Count an answer of 429 or 5xx, and remember the quota.
 *
 * @param registry - Its name in the configuration: the label's values must be a closed list.
 */
export function noteUpstreamAnswer(
  metrics: ClientMetrics,
  registry: string,
  { status, headers }: { status: number; headers: IncomingHttpHeaders },
): void {
  const kind = kindOfStatus(status);
  if (kind) metrics.upstreamErrors.inc(kind);
  const quota = parseRateLimit(headers);
  if (!quota) return;
  metrics.rateLimit.set({ registry }, quota.limit);
  metrics.rateLimitRemaining.set({ registry }, quota.remaining);
}

function countOf(header: string | string[] | undefined): number | undefined {
  const match = typeof header === "string" ? /^\s*(\d{1,12})\s*(?:;\s*w=\d{1,9}\s*)?$/.exec(header) : null;
  return match ? Number(match[1]) : undefined;
}

const kindOfCode: Readonly<Record<string, UpstreamErrorKind>> = {
  UND_ERR_CONNECT_TIMEOUT: "timeout",
  UND_ERR_HEADERS_TIMEOUT: "timeout",
  UND_ERR_BODY_TIMEOUT: "timeout",
  ETIMEDOUT: "timeout",
  UND_ERR_SOCKET: "broken",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "broken",
  UND_ERR_RES_EXCEEDED_MAX_SIZE: "broken",
  ECONNRESET: "broken",
  EPIPE: "broken",
};

/** The kind of a status that is the upstream's fault or its limit; undefined for every other answer. */
export function kindOfStatus(status: number): UpstreamErrorKind | undefined {
  if (status === 429) return "429";
  return status >= 500 ? "5xx" : undefined;
}

/** The kind of what a request to the upstream failed with, from the error and its causes. */
export function upstreamErrorKind(err: unknown): UpstreamErrorKind {
  const causes = causesOf(err);
  for (const cause of causes) {
    if (cause instanceof UpstreamAnswer) return kindOfStatus(cause.status) ?? "broken";
    if (cause.name === "TimeoutError") return "timeout";
    const kind = "code" in cause ? kindOfCode[String(cause.code)] : undefined;
    if (kind !== undefined) return kind;
  }
  // Without a foreign error below, it is an answer that was found wanting here: too short, stalled, of another size.
  const isOurs = causes.every((cause) => cause instanceof BlobUnavailable || cause instanceof BlobCorrupt);
  return isOurs && causes.length > 0 ? "broken" : "unreachable";
}
