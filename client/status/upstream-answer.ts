/**
 * What every answer of an upstream says besides its content: that it is overloaded, and how much quota is left.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { ClientMetrics } from "./metrics.ts";
import { kindOfStatus } from "./upstream-error.ts";

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
