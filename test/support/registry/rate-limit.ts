/** A pull limit with Docker Hub's headers. */
import type { ServerResponse } from "node:http";
import { RegistryError } from "#oci/errors.ts";

export interface RateLimit {
  /** Pulls per window. */
  limit: number;
  /** Pulls left: counts down with every GET of a manifest or blob, 429 at 0. @defaultValue limit */
  remaining?: number;
  /** @defaultValue 60 */
  retryAfterSeconds?: number;
}

const windowSeconds = 21_600;

/** Takes one pull from `rate` and sets the headers that say what is left. */
export function countPull(rate: RateLimit, res: ServerResponse): void {
  const left = rate.remaining ?? rate.limit;
  rate.remaining = Math.max(0, left - 1);
  res.setHeader("ratelimit-limit", `${rate.limit};w=${windowSeconds}`);
  res.setHeader("ratelimit-remaining", `${rate.remaining};w=${windowSeconds}`);
  if (left > 0) return;
  res.setHeader("retry-after", rate.retryAfterSeconds ?? 60);
  throw new RegistryError("TOOMANYREQUESTS", "You have reached your pull rate limit.");
}
